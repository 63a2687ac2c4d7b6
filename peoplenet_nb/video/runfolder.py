"""The folder of a run: parts that are finished one by one, and a manifest that says which are.

A part is some ten seconds of work: a table of detections, a table of frames and a piece of video. It is
written under temporary names, renamed when whole, and counts once the manifest names it. So a run that was
killed at any moment is continued from its last finished part, and gives the same tables as one that was not.

One decision to know: the manifest holds what the results depend on (video, sampling, model, settings), and a
run is continued only when all of it is the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import OutputError
from peoplenet_nb.files import lock, write_text, writing

__all__ = ["Manifest", "OtherRunError", "Part", "RunFolder"]

_FORMAT = 1
_MANIFEST, _PARTS = "run.json", "parts"
_FILES = ("video.mp4", "detections.csv", "detections.parquet", "frames.csv", "summary.json", _MANIFEST)


@dataclass
class Part:
    """A finished part: which frames, what was found, how long each stage took."""

    name: str
    first: int
    last: int
    begins_s: float
    frames: int = 0
    rescaled: int = 0
    wall_s: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    frames_with: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class Manifest:
    """What `run.json` holds.

    Attributes
    ----------
    fingerprint : dict
        Everything that the results depend on.
    state : str
        ``running``, ``interrupted`` or ``complete``.
    origin_s : float
        Time of the first frame, where the video begins.
    video_size : tuple of int or None
        ``(width, height)`` of the frames in the video.
    encoder : str
        Which encoder writes the video; parts of different encoders do not join.
    first_s : float
        Seconds from the start of the run to its first result.
    parts : list of Part
        In order.
    notes : list of str
        What was said of images that a continued run does not look at again.
    """

    fingerprint: dict[str, Any]
    state: str = "running"
    origin_s: float = 0.0
    video_size: tuple[int, int] | None = None
    encoder: str = ""
    first_s: float = 0.0
    parts: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Frames in finished parts."""
        return sum(part.frames for part in self.parts)


class OtherRunError(OutputError):
    """The folder holds a run of another source, model or settings."""


class RunFolder:
    """A folder that one run writes to.

    Parameters
    ----------
    path : Path
        Made when it is not there.
    fingerprint : dict
        What the results depend on.
    resume, overwrite : bool
        What to do with results that are there.

    Raises
    ------
    OutputError
        When the folder cannot be written, another process writes to it, it holds results and neither
        ``resume`` nor ``overwrite`` is set, or it holds those of a different run.
    """

    def __init__(self, path: Path, fingerprint: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
        self.path = path
        self.parts = path / _PARTS
        self._lock = ExitStack()
        if resume and overwrite:
            raise OutputError(
                "resume and overwrite exclude each other", seen=path, next_step="choose one of the two."
            )
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.enter_context(lock(path))
            except BlockingIOError as error:
                raise OutputError(
                    "Another run is writing to this folder",
                    seen=path,
                    next_step="wait for it, or choose another --output.",
                ) from error
        try:
            self.manifest = self._claim(fingerprint, resume, overwrite)
            if self.manifest.state != "complete":
                with writing(path):
                    self.parts.mkdir(exist_ok=True)
                    self._drop_unfinished()
                    self.save()
        except BaseException:
            self.release()
            raise

    def _claim(self, fingerprint: dict[str, Any], resume: bool, overwrite: bool) -> Manifest:
        # Through JSON, so that tuples and numbers compare as they will be read back.
        fingerprint = json.loads(json.dumps(fingerprint))
        present = [name for name in (*_FILES, _PARTS) if (self.path / name).exists()]
        if present and not overwrite and not (resume and _MANIFEST in present):
            raise OutputError(
                "The output folder already holds results",
                seen=f"{self.path}: {', '.join(present)}",
                next_step="continue with --resume (resume=True), begin anew with --overwrite (overwrite=True), "
                "or choose another --output.",
            )
        if overwrite:
            with writing(self.path):
                self._clear()
        if not resume or not present:
            return Manifest(fingerprint)
        manifest = self._load()
        changed = _differences(manifest.fingerprint, fingerprint)
        if changed:
            raise OtherRunError(
                "The folder holds another run, which cannot be continued with what is asked for now",
                seen=f"{self.path}: " + "; ".join(changed),
                next_step="use the same source, model and settings, or begin anew with --overwrite.",
            )
        return manifest

    def _load(self) -> Manifest:
        try:
            data = json.loads((self.path / _MANIFEST).read_text(encoding="utf-8"))
            data = {_FORMAT: data}[data.pop("format")]  # another format is a KeyError
            data["parts"] = [Part(**part) for part in data["parts"]]
            data["video_size"] = tuple(data["video_size"]) if data["video_size"] else None
            return Manifest(**data)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutputError(
                "The manifest of the run cannot be read",
                seen=f"{self.path / _MANIFEST}: {error}",
                next_step="begin anew with --overwrite.",
            ) from error

    def save(self) -> None:
        """Write the manifest, atomically."""
        write_text(
            self.path / _MANIFEST,
            json.dumps({"format": _FORMAT} | asdict(self.manifest), indent=1),
            durable=True,
        )

    def _drop_unfinished(self) -> None:
        known = {part.name for part in self.manifest.parts}
        for path in self.parts.iterdir():
            if path.name.split(".")[0] not in known or path.suffix == ".part":
                path.unlink()

    def _clear(self) -> None:
        """Remove what a run writes, and nothing else."""
        ours = [self.path / name for name in _FILES]
        ours += (self.path / "grids").glob("[0-9]*.npz*")
        if (self.path / _MANIFEST).exists():
            ours += [p for p in (self.path / "images").glob("*") if p.is_file()]
        for path in ours:
            path.unlink(missing_ok=True)
        for emptied in ("grids", "images"):
            with suppress(OSError):  # not there, or it holds files of the user's
                (self.path / emptied).rmdir()
        shutil.rmtree(self.parts, ignore_errors=True)

    def release(self) -> None:
        """Let other processes write to the folder."""
        self._lock.close()


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return ``name: before -> now`` for each value that differs."""
    told = []
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            told += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            told.append(f"{prefix}{key} was {str(old)[:40]} and is {str(new)[:40]}")
    return told
