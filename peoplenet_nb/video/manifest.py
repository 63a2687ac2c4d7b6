"""What the manifest of a run says: what the results depend on, and which parts are finished."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import OutputError
from peoplenet_nb.files import read_text
from peoplenet_nb.sources.feed import Gap
from peoplenet_nb.video.typed import typed

MANIFEST, FORMAT = "run.json", 1
#: Files of a part, with those that are being written; a file of the user's in the same folder is left alone.
PART_FILE = re.compile(r"\.?\d{5,7}\.(detections\.csv|frames\.csv|cells\.parquet|mp4)(\.part)?")
_LARGEST = 256 << 20  # bytes; some 200 for each image of a folder

#: What is timed, in the order in which a frame goes through it.
STAGES = ("read", "convert", "preprocess", "infer", "decode", "cluster", "interpolate", "draw", "encode")


@dataclass
class Part:
    """A finished part: which frames, what was found, how long each stage took, the SHA-256 of its files."""

    name: str
    first: int
    last: int
    begins_s: float
    ends_s: float = 0.0  #: time of the last frame, on the clock of ``begins_s``
    frames: int = 0
    cut: bool = False  #: whether a shot ends with it
    interpolated: int | None = None  #: None where an earlier version wrote it, whose tables do not tell
    rescaled: int = 0
    wall_s: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    frames_with: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    latency: dict[str, int] = field(default_factory=dict)  #: of a live source, as `livelog` counts it
    files: dict[str, str] = field(default_factory=dict)


@dataclass
class Live:
    """The live part of a manifest."""

    began: str  #: wall-clock time of second 0, as ISO 8601 in UTC
    arrived: int = 0  #: frames that came
    dropped: int = 0  #: those of them that a newer one replaced before a worker was free
    dropped_before: int = 0  #: those when this run went on from an earlier one
    gaps: list[Gap] = field(default_factory=list)
    gaps_before: list[Gap] = field(default_factory=list)
    removed: int = 0  #: parts that were removed because they were older than what is kept


@dataclass
class Manifest:
    """What ``run.json`` holds."""

    fingerprint: dict[str, Any]  #: everything that the results depend on
    source: str = ""  #: what the source is called
    state: str = "running"  #: or ``interrupted``, or ``complete``
    origin_s: float = 0.0  #: time of the first frame, where the video begins
    video_size: tuple[int, int] | None = None  #: ``(width, height)`` of the frames in the video
    encoder: str = ""  #: which writes the video; parts of different encoders do not join
    first_s: float = 0.0  #: seconds from the start of the run to its first result
    parts: list[Part] = field(default_factory=list)
    #: What the run's annotated images are called, before the first is written: a run that is killed left some of them.
    images: list[str] = field(default_factory=list)
    live: Live | None = None  #: of a live source
    notes: list[str] = field(default_factory=list)  #: on images that a continued run does not look at again

    @property
    def frames(self) -> int:
        """Frames in finished parts."""
        return sum(part.frames for part in self.parts)

    @property
    def removed(self) -> int:
        """Parts before the first that is kept."""
        return self.live.removed if self.live else 0


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a run's folder.

    Raises
    ------
    OutputError
        When it is not there, or is none that a run wrote.
    """
    path = folder / MANIFEST
    try:
        data = json.loads(read_text(path, _LARGEST))
        data = {FORMAT: data}[data.pop("format")]  # another format is a KeyError
        # Until parts were written they named their own images.
        named = [name for part in data["parts"] for name in part.pop("images", [])]
        manifest: Manifest = typed(data, Manifest, "it")
        manifest.images += typed(named, list[str], "it.images")
        _check(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = "The manifest of the run cannot be read"
        raise OutputError(what, seen=f"{path}: {error}", next_step="begin anew with --overwrite.") from error
    return manifest


def _check(manifest: Manifest) -> None:
    """Raise a ValueError for names and numbers that no run writes."""
    labels = manifest.parts[0].counts.keys() if manifest.parts else {}.keys()
    for number, part in enumerate(manifest.parts, manifest.removed):
        names = [part.name, *(name.partition(".")[0] for name in part.files)]
        if set(names) != {f"{number:05d}"} or not all(map(PART_FILE.fullmatch, part.files)):
            raise ValueError(f"part {number} is called {part.name[:40]!r}, with files {list(part.files)}")
        if not part.frames or part.last < part.first:
            raise ValueError(f"part {number} has {part.frames} frames, {part.first} to {part.last}")
        if part.counts.keys() != labels or part.frames_with.keys() != labels:
            raise ValueError("its parts count different classes")
    if manifest.video_size and not min(manifest.video_size):
        raise ValueError(f"the video is {manifest.video_size}")
