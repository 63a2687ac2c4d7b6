"""A folder of clips for notebook 11: the one that is named, or pieces cut from a video."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

from peoplenet_nb.files import atomic, write_text
from peoplenet_nb.paths import outputs_dir
from peoplenet_nb.sources import open_source

_BROKEN = "broken.mp4"


def folder_of_clips(
    source: str | Path, clips: int = 6, frames: int = 15, *, folder: str | Path | None = None
) -> Path:
    """Return a folder of clips: ``source`` itself where it is one, else one with pieces of that video.

    Parameters
    ----------
    source : str or Path
        A folder, or what `peoplenet_nb.open_source` takes.
    clips, frames : int
        How many pieces, one behind the other, and how long each is.
    folder : str or Path, optional
        Where pieces go; left out, ``outputs_dir() / "clips-of-NAME"``. What is there is left.

    Returns
    -------
    Path
        Beside the pieces lies ``broken.mp4``, which is no video, to show what becomes of such a file.
    """
    given = Path(source).expanduser()
    if given.is_dir():
        return given
    opened = open_source(source)
    target = Path(folder) if folder else outputs_dir() / f"clips-of-{opened.info.stem}"
    for number in range(clips):
        path = target / f"clip-{number + 1:02d}.mp4"
        if not path.exists():
            _write(path, opened.sampled(1, frames, number * frames), opened.info.fps or 10.0)
    if not (target / _BROKEN).exists():
        write_text(target / _BROKEN, "This is no video: a download that broke off left an error page.\n")
    return target


def _write(path: Path, source: Any, fps: float) -> None:
    import av

    with atomic(path) as partial, closing(av.open(f"file:{partial}", "w", format="mp4")) as out:
        stream: Any = None
        for number, frame in enumerate(source):
            picture = av.VideoFrame.from_ndarray(frame.image, format="bgr24").reformat(format="yuv420p")
            if stream is None:
                rate = Fraction(fps).limit_denominator(1000)
                stream = out.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "18"})
                # 4:2:0 takes even sizes only.
                stream.width, stream.height = picture.width // 2 * 2, picture.height // 2 * 2
                stream.pix_fmt = "yuv420p"
            picture.pts, picture.time_base = number, 1 / rate
            out.mux(stream.encode(picture))
        if stream is not None:
            out.mux(stream.encode(None))
