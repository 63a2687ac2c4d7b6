"""A video inside a notebook: played from where it lies when the page can reach it, else as a small preview.

One decision to know: a browser gets at files below the Jupyter server's root only, and at no hidden ones, so
whether a video can be linked depends on the server that runs this kernel. Where none does (papermill, CI), or
the video lies elsewhere, a preview of at most a few MB is embedded, and the video's path is named.
"""

from __future__ import annotations

import base64
import html
import os
from pathlib import Path
from urllib.parse import quote

from peoplenet_nb.errors import OutputError
from peoplenet_nb.html_tables import note
from peoplenet_nb.paths import cache_dir
from peoplenet_nb.video import RunResult
from peoplenet_nb.video.mp4 import check_video

#: Set by Jupyter's server for the kernels that it starts: the notebook's path.
SESSION = "JPY_SESSION_NAME"

_LARGEST_EMBEDDED = 3 << 20
_PREVIEW_SECONDS = 20.0
_PREVIEW_WIDTH = 640


class Player:
    """A video that plays in the page.

    Parameters
    ----------
    video : RunResult, str or Path
        A run, or an H.264 MP4. A run over images has no video: where its pictures are is shown instead.
    alt : str
        What it shows, for people who do not see it.
    width : int
        Pixels on the page; it shrinks with the notebook.

    Attributes
    ----------
    video : Path or None
        The file that is played.

    Raises
    ------
    OutputError
        When the video is not there or no browser would play it.
    """

    def __init__(self, video: RunResult | str | Path, alt: str = "", width: int = 800) -> None:
        self.video: Path | None = None
        self._images: Path | None = None
        self.alt: str = alt or "The video with its boxes."
        self.width: int = width
        if isinstance(video, RunResult):
            found = ", ".join(f"{number} {label}" for label, number in video.summary["counts"].items())
            self.alt = alt or f"The video of {video.summary['frames']} frames with its boxes ({found})."
            self._images = video.images
        path = video.video if isinstance(video, RunResult) else Path(video)
        if path is None:
            return
        self.video = path.resolve()
        if not self.video.is_file():
            raise OutputError("There is no such video", seen=self.video, next_step="run the video first.")
        problems = check_video(self.video).problems
        if problems:
            raise OutputError(
                "No browser would play this video",
                seen=f"{self.video}: {'; '.join(problems)}",
                next_step="run it again with overwrite=True.",
            )

    @property
    def linked(self) -> str | None:
        """Path of the video relative to the notebook, None when a preview is embedded."""
        return None if self.video is None else link_from_notebook(self.video)

    def _repr_html_(self) -> str:
        if self.video is None:
            return note(f"There is no video of images; the pictures with their boxes are in {self._images}.")
        where, text = self.linked, f"{self.video} ({self.video.stat().st_size / 1e6:.1f} MB)"
        if where is None:
            small = preview(self.video)
            where = "data:video/mp4;base64," + base64.b64encode(small.read_bytes()).decode("ascii")
            text = ("" if small == self.video else "A small preview of ") + text
        else:
            # A video that was run again has the same name; the browser must not show the old one.
            where = f"{quote(where)}?t={self.video.stat().st_mtime_ns // 1_000_000}"
        alt = html.escape(self.alt)
        return (
            f'<video controls loop muted playsinline preload="auto" src="{where}" title="{alt}" aria-label="{alt}" '
            f'style="width:{self.width}px;max-width:100%;background:#000">{alt}</video><p>{html.escape(text)}</p>'
        )

    def __repr__(self) -> str:
        return f"Player({self.video or self._images})"


def link_from_notebook(video: Path) -> str | None:
    """Return a video's path relative to the notebook, None when the notebook's page cannot reach it."""
    from peoplenet_nb.diagnostics.folders import running_servers

    if not os.environ.get(SESSION):
        return None
    here = Path.cwd().resolve()
    for server in running_servers():
        root = Path(str(server.get("root_dir") or server.get("notebook_dir") or "/")).resolve()
        if root not in (here, *here.parents) or root not in video.parents:
            continue
        if not any(part.startswith(".") for part in video.relative_to(root).parts):
            return Path(os.path.relpath(video, here)).as_posix()
    return None


def preview(video: Path) -> Path:
    """Return the video itself when it is small, else a smaller and shorter copy in the cache."""
    from peoplenet_nb.sources import open_source
    from peoplenet_nb.video.writer import VideoWriter

    if video.stat().st_size <= _LARGEST_EMBEDDED:
        return video
    stamp = f"{video.parent.name}-{video.stem}-{video.stat().st_mtime_ns}.mp4"
    target = cache_dir() / "previews" / stamp
    if target.is_file():
        return target
    source = open_source(video)
    width = min(_PREVIEW_WIDTH, source.info.width)
    size = (width, max(2, round(source.info.height * width / source.info.width)))
    with VideoWriter(target, size, source.info.fps or 25.0) as writer:
        for frame in source:
            if frame.time_s > _PREVIEW_SECONDS or _too_large(writer.partial):
                break
            writer.write(frame.image, frame.time_s)
    return target


def _too_large(partial: Path) -> bool:
    return partial.is_file() and partial.stat().st_size > 2 * _LARGEST_EMBEDDED
