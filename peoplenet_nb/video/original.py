"""The video of a finished run once more: found, known to be the same, and where its shots begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from peoplenet_nb.errors import OutputError, SourceError, printable
from peoplenet_nb.sources import Frame, Source, open_source
from peoplenet_nb.sources.frames import Image
from peoplenet_nb.tracks import scene_cut, thumbnail
from peoplenet_nb.video.manifest import read_manifest
from peoplenet_nb.video.result import RunResult
from peoplenet_nb.video.writer import VideoWriter


def original_of(result: RunResult, source: str | Path | None = None) -> Source:
    """Open what a run was over, sampled as the run did.

    Parameters
    ----------
    result : RunResult
        A finished run.
    source : str or Path, optional
        Where the video is now; left out, where it was.

    Raises
    ------
    SourceError
        When it is not there, or has changed since, or was live.
    OutputError
        When the run does not say what it was over.
    """
    summary = result.summary
    if summary.get("live"):
        what = "The run was over a live stream, whose pictures are gone"
        step = "record the stream to a file with another program, and run over that."
        raise SourceError(what, seen=summary["source"]["spec"], next_step=step)
    try:
        depends = read_manifest(result.folder).fingerprint
        known, sampling = depends["source"], depends["sampling"]
        sampled = [sampling[name] for name in ("every", "frames", "start")]
        spec = summary["source"]["spec"] if source is None else source
    except (OutputError, KeyError, TypeError) as error:
        what, step = "The run does not say which video it was over", "run it again with --overwrite."
        raise OutputError(what, seen=f"{result.folder}: {error}", next_step=step) from error
    try:
        opened = open_source(spec, progress=False)
    except SourceError as error:
        if source is not None:
            raise
        what = "The video of the run cannot be opened where it was"
        step = "name where it is now with --source (source=)."
        raise SourceError(what, seen=f"{spec}: {error.what}", next_step=step) from error
    if opened.info.fingerprint != known:
        raise SourceError(
            "The video is not the one that the run was over: its content has changed",
            seen=opened.info.spec,
            next_step="name the same video with --source (source=), or run again on this one.",
        )
    return opened.sampled(*sampled)


def same_frames(source: Source, numbers: Iterable[int]) -> Iterator[Frame]:
    """Yield the frames of a source, which are those of its run.

    Parameters
    ----------
    source : Source
    numbers : iterable of int
        Index of each frame of the run.

    Raises
    ------
    SourceError
        When it gives others, or frames of several sizes.
    """
    size, expected = (source.info.width, source.info.height), iter(numbers)
    for frame in source:
        if (wanted := next(expected, None)) != frame.index:
            raise _differs(f"frame {frame.index} where the run has {wanted}")
        if frame.size != size:
            raise _differs(f"frame {frame.index} of {frame.size[0]}x{frame.size[1]} pixels")
        yield frame
    if (wanted := next(expected, None)) is not None:
        raise _differs(f"the end where the run has frame {wanted}")


def _differs(seen: str) -> SourceError:
    step = "run again on the video as it is now, with --overwrite."
    return SourceError("The video does not give the frames of its run", seen=seen, next_step=step)


def shots_of(frames: Iterable[Frame]) -> list[int]:
    """Return at which of the frames, counted from 0, another shot begins."""
    begins, before = [], None
    for i, frame in enumerate(frames):
        small = thumbnail(frame.grey)
        if before is not None and scene_cut(before, small):
            begins.append(i)
        before = small
    return begins


def render(
    original: Source, frames: Iterable[Frame], paint: Callable[[int, Frame], Image], path: Path
) -> tuple[float, float]:
    """Write a video of the same times with other pictures.

    Parameters
    ----------
    original : Source
    frames : iterable of Frame
        Its frames.
    paint : callable
        Takes the number of a frame, from 0, and the frame; returns its picture, of the same size.
    path : Path
        Where it goes; it is moved there when whole.

    Returns
    -------
    tuple of float
        From when to when of the original, in seconds.
    """
    info, first, last = original.info, 0.0, 0.0
    rate = (info.fps or 25.0) / original.every
    with VideoWriter(path, (info.width, info.height), rate, pixel_aspect=info.pixel_aspect) as writer:
        for at, frame in enumerate(frames):
            last = frame.time_s
            first = first if at else last
            writer.write(paint(at, frame), last - first)
    return first, last + 1 / rate


@contextmanager
def frames_bar(
    original: Source, total: int, progress: bool
) -> Iterator[Callable[[Iterable[Frame]], Iterator[Frame]]]:
    """Show a bar over all that is read of a video; what is given counts the frames that it is given."""
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=printable(original.info.name), disable=not progress, unit=" frames") as bar:

        def counted(frames: Iterable[Frame]) -> Iterator[Frame]:
            for frame in frames:
                yield frame
                bar.update()

        yield counted
