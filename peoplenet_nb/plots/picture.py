"""A finished picture for a notebook: bytes, a text for those who cannot see it, and a caption.

A picture shows itself as HTML with ``<img alt>`` and brings its own white ground, so
that it reads the same in JupyterLab's light and dark theme and is not silent for a screen reader.
"""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.files import write_bytes
from peoplenet_nb.preprocess import check_frame

_SUFFIX = {"image/png": ".png", "image/webp": ".webp", "image/jpeg": ".jpg"}
_JPEG_QUALITY = 88


@dataclass(frozen=True)
class Picture:
    """An encoded picture.

    Parameters
    ----------
    data : bytes
        The encoded file.
    mime : str
        ``image/png``, ``image/webp`` or ``image/jpeg``.
    alt : str
        What it shows, for people who do not see it; never empty.
    width : int
        Pixels it wants on a page; it shrinks with the notebook.
    caption : str
        A line below it.

    Raises
    ------
    ValueError
        When there is no alt text.
    """

    data: bytes
    mime: str
    alt: str
    width: int
    caption: str = ""

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise ValueError("a picture needs a text for those who cannot see it")

    def to_html(self) -> str:
        """Return the picture as a ``<figure>`` that needs nothing else."""
        source = f"data:{self.mime};base64,{base64.b64encode(self.data).decode('ascii')}"
        caption = f"<figcaption>{html.escape(self.caption)}</figcaption>" if self.caption else ""
        return (
            '<figure style="margin:0.4em 0">'
            f'<img src="{source}" alt="{html.escape(self.alt, quote=True)}" '
            f'style="width:{self.width}px;max-width:100%;height:auto;background:#ffffff">{caption}</figure>'
        )

    def save(self, path: str | Path) -> Path:
        """Write the picture; the suffix is put right for its kind, and the path returned."""
        path = Path(path).with_suffix(_SUFFIX[self.mime])
        write_bytes(path, self.data)
        return path

    def __repr__(self) -> str:
        return f"Picture({self.alt})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.to_html(), "text/plain": self.alt}


def frame_picture(frame: npt.NDArray[np.uint8], alt: str, *, width: int = 960, caption: str = "") -> Picture:
    """Return a BGR frame as a picture, no wider than ``width`` pixels."""
    frame = check_frame(frame)
    if frame.shape[1] > width:
        size = (width, max(1, round(frame.shape[0] * width / frame.shape[1])))
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return Picture(data.tobytes(), "image/jpeg", alt, frame.shape[1], caption)
