"""The demo clip: rendered at first use, encoded as H.264, kept in the cache with its ground truth.

One decision to know: the cache's folder is named after a hash of the renderer's sources and the library
versions that draw and encode, so a clip can never disagree with the ground truth of the code that is
installed.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from peoplenet_nb.demo.scene import FPS, Scene
from peoplenet_nb.demo.truth import Truth, load_truth, write_truth
from peoplenet_nb.errors import OutputError
from peoplenet_nb.paths import cache_dir

DEMO_SEED = 2041
DEMO_SECONDS = 12.0
DEMO_SIZE = (1280, 720)
_QUALITY = "27"  # x264's constant rate factor: 12 s stay below 2 MB
_RENDERER = tuple(
    sorted(p.name for p in Path(__file__).parent.glob("*.py") if p.stem not in ("__init__", "standin"))
)

_log = logging.getLogger(__name__)


def demo_scene() -> Scene:
    """Return the scene that the demo clip shows; its frame k is the clip's frame k before encoding."""
    return Scene(DEMO_SEED, DEMO_SIZE, light="sun", people=13)


def demo_clip(
    path: str | Path | None = None,
    *,
    seconds: float = DEMO_SECONDS,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Return the demo clip: an H.264 film of 1280x720 at 25 frames per second, about 12 seconds long.

    Parameters
    ----------
    path : str or Path, optional
        Where to write it (what is there is replaced). Left out, it is rendered once into the cache.
    seconds : float
        Length; a shorter clip begins with the same frames.
    progress : callable, optional
        Called with (frames done, frames in all) while it renders.

    Returns
    -------
    Path
        The film. Its ground truth lies beside it with the suffix ``.csv``: ``frame, id, x, y, w, h,
        visibility, class`` with 0-based frames and frame pixels; read it with `demo_truth`.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """
    frames = max(round(seconds * FPS), 1)
    target = Path(path) if path is not None else _cached(frames)
    if path is None and target.is_file() and target.with_suffix(".csv").is_file():
        return target
    _log.info("Rendering the demo clip, %d frames, into %s", frames, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, frames, progress)
    except OSError as error:
        raise OutputError(
            "The demo clip cannot be written",
            seen=f"{target}: {error}",
            next_step="set PEOPLENET_HOME to a folder that can be written, or pass another path.",
        ) from error
    return target


def demo_truth(path: str | Path | None = None, *, seconds: float = DEMO_SECONDS) -> list[Truth]:
    """Return the ground truth of the demo clip, one `Truth` per frame.

    Parameters
    ----------
    path : str or Path, optional
        A film that `demo_clip` wrote; left out, the cached one, rendered if need be.
    seconds : float
        Length of the cached clip.
    """
    film = Path(path) if path is not None else demo_clip(seconds=seconds)
    return load_truth(film.with_suffix(".csv"), _frame_count(film))


def _write(target: Path, frames: int, progress: Callable[[int, int], None] | None) -> None:
    """Render under temporary names and move film and truth into place when both are whole."""
    film = target.with_name(f".{target.stem}.{os.getpid()}.part")
    rows = film.with_suffix(".rows")
    try:
        write_truth(rows, _encode(film, frames, progress))
        # The film last: where it is, its truth is.
        rows.replace(target.with_suffix(".csv"))
        film.replace(target)
    finally:
        film.unlink(missing_ok=True)
        rows.unlink(missing_ok=True)


def _cached(frames: int) -> Path:
    name = "demo-street.mp4" if frames == round(DEMO_SECONDS * FPS) else f"demo-street-{frames}.mp4"
    return cache_dir() / "demo" / _source_key() / name


@cache
def _source_key() -> str:
    import av

    digest = hashlib.sha256(f"{np.__version__} {cv2.__version__} {av.__version__}".encode())
    for name in _RENDERER:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()[:10]


def _frame_count(film: Path) -> int:
    import av

    with av.open(str(film)) as container:
        return int(container.streams.video[0].frames)


def _encode(target: Path, frames: int, progress: Callable[[int, int], None] | None) -> list[Truth]:
    """Render and encode into `target`, whatever its name, and return the ground truth."""
    import av

    scene = demo_scene()
    truths = []
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.width, stream.height = DEMO_SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": _QUALITY, "preset": "veryfast"}
        for index in range(frames):
            image, truth = scene.render(index)
            truths.append(truth)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
            if progress is not None:
                progress(index + 1, frames)
        container.mux(stream.encode(None))
    return truths
