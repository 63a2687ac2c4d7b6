"""The folder of a run: parts that are finished one by one, and a manifest that says which are.

A part is some ten seconds of work: a table of detections, a table of frames and a piece of video. It is written
under temporary names, renamed when whole, and counts once the manifest names it. So a run that was killed at any
moment is continued from its last finished part, and gives the same tables as one that was not.

The manifest holds what the results depend on (video, sampling, model, settings), and a run is continued only when
all of it is the same.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path
from typing import Any

from peoplenet_nb.cells import CELLS
from peoplenet_nb.errors import OutputError
from peoplenet_nb.files import lock, sha256_of, write_text, writing
from peoplenet_nb.video.added import drop_added
from peoplenet_nb.video.livelog import GAPS
from peoplenet_nb.video.manifest import FORMAT, MANIFEST, PART_FILE, Manifest, Part, read_manifest

logger: logging.Logger = logging.getLogger(__name__)

_PARTS = "parts"
_GRIDS_FILE = re.compile(r"\.?\d{6,}\.npz(\.part)?")  # of earlier versions, in a folder "grids"
_FILES = (
    "video.mp4",
    "detections.csv",
    "detections.parquet",
    CELLS,
    "frames.csv",
    GAPS,
    "summary.json",
    MANIFEST,
)


class OtherRunError(OutputError):
    """The folder holds a run of another source, model or settings."""


class RunFolder:
    """A folder that one run writes to; it is made when it is not there.

    Raises
    ------
    OutputError
        When the folder cannot be written, another process writes to it, it holds results, or files that they would
        replace, and neither ``resume`` nor ``overwrite`` is set, or it holds those of a different run.
    """

    def __init__(
        self,
        path: Path,
        fingerprint: dict[str, Any],
        source: str = "",
        images: Collection[str] = (),
        *,
        resume: bool,
        overwrite: bool,
    ) -> None:
        self.path, self._source, self._images = path, source, list(images)
        self.parts: Path = path / _PARTS
        self._lock = ExitStack()
        if resume and overwrite:
            what = "resume and overwrite exclude each other"
            raise OutputError(what, seen=path, next_step="choose one of the two.")
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.enter_context(lock(path))
            except BlockingIOError as error:
                step = "wait for it, or choose another --output."
                raise OutputError(
                    "Another run is writing to this folder", seen=path, next_step=step
                ) from error
        try:
            self.manifest: Manifest = self._claim(fingerprint, resume, overwrite)
            if self.manifest.state != "complete":
                with writing(path):
                    self.save()
                    self.drop_parts(keep={part.name for part in self.manifest.parts})
                    self.parts.mkdir(exist_ok=True)
        except BaseException:
            self.release()
            raise

    def _claim(self, fingerprint: dict[str, Any], resume: bool, overwrite: bool) -> Manifest:
        # Through JSON, so that tuples and numbers compare as they will be read back.
        fingerprint = json.loads(json.dumps(fingerprint))
        if not (resume or overwrite):
            refuse_results(self.path)
        results = _results(self.path)
        manifest = read_manifest(self.path) if MANIFEST in results and not overwrite else None
        if overwrite and (other := _known(self.path).source) and self._source and other != self._source:
            raise OutputError(
                "The folder holds the results of another source, which --overwrite (overwrite=True) does not replace",
                seen=f"{self.path}: {other}, not {self._source}",
                next_step="choose another --output, or delete the folder.",
            )
        if overwrite or _nothing_in(results, manifest):
            with writing(self.path):
                self._clear()
            if not overwrite:
                self._refuse_taken()
            return Manifest(fingerprint, self._source, images=self._images)
        if manifest is None:
            raise _taken(self.path, results)
        default = {"keyframes": "off"}
        changed = _differences(default | manifest.fingerprint, default | fingerprint)
        if changed:
            raise OtherRunError(
                "The folder holds another run, which cannot be continued with what is asked for now",
                seen=f"{self.path}: " + "; ".join(changed),
                next_step="use the same source, model and settings, or begin anew with --overwrite.",
            )
        if manifest.state != "complete":
            manifest.parts = list(takewhile(self._is_whole, manifest.parts))
            manifest.images = list(dict.fromkeys([*manifest.images, *self._images]))
            with writing(self.path):
                drop_added(self.path)
        return manifest

    def _refuse_taken(self) -> None:
        """Refuse to replace images that no run's manifest names."""
        taken = [f"images/{name}" for name in self._images if (self.path / "images" / name).exists()]
        if taken:
            raise OutputError(
                "The output folder holds images that the results would replace",
                seen=f"{self.path}: {', '.join(taken[:3])}{' …' if len(taken) > 3 else ''}",
                next_step="choose another --output, move them away, or replace them with --overwrite.",
            )

    def _is_whole(self, part: Part) -> bool:
        """Return whether a part's files are those that were written; the run goes on from the first that are not."""
        paths = {self.parts / name: digest for name, digest in part.files.items()}
        whole = all(path.is_file() and sha256_of(path) == digest for path, digest in paths.items())
        if whole and part.interpolated is not None:
            return True
        reason = "was changed or lost, or an earlier version wrote it"
        logger.warning("Part %s of %s %s; the run goes on before it", part.name, self.path, reason)
        return False

    def files(self, ending: str) -> list[Path]:
        """Return the finished parts' files of one kind, by what follows the part's name; not every part has one."""
        named = ((f"{part.name}.{ending}", part) for part in self.manifest.parts)
        return [self.parts / name for name, part in named if name in part.files]

    def save(self) -> None:
        """Write the manifest, atomically."""
        text = json.dumps({"format": FORMAT} | asdict(self.manifest), indent=1)
        write_text(self.path / MANIFEST, text, durable=True)

    def drop_parts(self, keep: Collection[str] = ()) -> None:
        """Remove the files of all parts but those to keep; the folder too, where nothing is left in it."""
        for path in () if self.parts.is_symlink() else self.parts.glob("*"):
            finished = path.name.split(".")[0] in keep and path.suffix != ".part"
            if PART_FILE.fullmatch(path.name) and not finished:
                path.unlink()
        if not keep:
            with suppress(OSError):  # not there, or it holds files of the user's
                self.parts.rmdir()

    def _clear(self) -> None:
        """Remove what the run in this folder wrote: nothing that its manifest does not name, nothing through links."""
        manifest = _known(self.path)
        for path in (self.path / name for name in _FILES):
            path.unlink(missing_ok=True)
        if manifest.parts:
            drop_added(self.path)
        images = set(manifest.images)
        grids = manifest.fingerprint.get("save_grids") is True
        for folder in (self.path / "images", self.path / "grids"):
            for path in folder.iterdir() if folder.is_dir() and not folder.is_symlink() else ():
                if path.name in images or (grids and _GRIDS_FILE.fullmatch(path.name)):
                    path.unlink()
            with suppress(OSError):  # not there, or it holds files of the user's
                folder.rmdir()
        self.drop_parts()

    def release(self) -> None:
        """Let other processes write to the folder."""
        self._lock.close()


def refuse_results(path: Path) -> None:
    """Refuse a folder that holds the results of a run.

    Raises
    ------
    OutputError
        When it does, or its record cannot be read.
    """
    with writing(path):
        results = _results(path)
    if not _nothing_in(results, read_manifest(path) if MANIFEST in results else None):
        raise _taken(path, results)


def _results(path: Path) -> list[str]:
    return [name for name in _FILES if (path / name).exists()]


def _nothing_in(results: list[str], manifest: Manifest | None) -> bool:
    """Return whether there is nothing to continue or to lose: a run that ended before its first part was whole too."""
    return not results or (manifest is not None and results == [MANIFEST] and not manifest.parts)


def _taken(path: Path, results: list[str]) -> OutputError:
    of = _known(path).source
    resumable = "continue with --resume (resume=True), " if MANIFEST in results else ""
    return OutputError(
        "The output folder already holds results",
        seen=f"{path}: {', '.join(results)}{f' of {of}' if of else ''}",
        next_step=f"{resumable}begin anew with --overwrite (overwrite=True), or choose another --output.",
    )


def _known(path: Path) -> Manifest:
    """Return what is recorded in a folder; nothing where that cannot be read."""
    try:
        return read_manifest(path)
    except OutputError:
        return Manifest({})


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return ``name: before -> now`` for each value that differs."""
    changed = []
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changed += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            changed.append(f"{prefix}{key} was {str(old)[:40]} and is {str(new)[:40]}")
    return changed
