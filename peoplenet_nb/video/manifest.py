"""What the manifest of a run says: what the results depend on, and which parts are finished."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from peoplenet_nb.sources.feed import Gap

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
