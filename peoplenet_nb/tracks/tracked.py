"""Boxes with identities: who was where in which frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from peoplenet_nb.files import write_text
from peoplenet_nb.html_tables import table

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tracks:
    """Boxes of tracks that were confirmed; arrays run in parallel over M boxes, by frame and then track.

    Parameters
    ----------
    frame : ndarray
        ``(M,)`` int64: index in the source, from 0.
    time_s : ndarray
        ``(M,)`` float64: when the frame is shown, in seconds.
    track : ndarray
        ``(M,)`` int64: the identity, from 1 in the order of appearance; each class has its own identities.
    class_id : ndarray
        ``(M,)`` int64, index into ``labels``.
    xyxy : ndarray
        ``(M, 4)`` float64 in frame pixels.
    confidence : ndarray
        ``(M,)`` float64.
    detection : ndarray
        ``(M,)`` int64: which detection this is, counted over all frames; -1 where a gap was
        closed, -2 where it is fainter than those that count.
    labels : tuple of str
        Names of the classes.
    frames : ndarray
        ``(F,)`` int64: all frames that were looked at, those without tracks too.
    times : ndarray
        ``(F,)`` float64: their times.
    """

    frame: Ints
    time_s: Floats
    track: Ints
    class_id: Ints
    xyxy: Floats
    confidence: Floats
    detection: Ints
    labels: tuple[str, ...]
    frames: Ints
    times: Floats

    def __len__(self) -> int:
        """How many tracks there are."""
        return len(self.numbers)

    @cached_property
    def numbers(self) -> Ints:
        """The identities, rising."""
        return np.unique(self.track)

    @cached_property
    def _by_track(self) -> npt.NDArray[np.intp]:
        return np.argsort(self.track, kind="stable")

    def of(self, track: int) -> npt.NDArray[np.intp]:
        """Return the indices of one track's boxes, in the order of time."""
        first, last = np.searchsorted(self.track, [track, track + 1], sorter=self._by_track)
        return self._by_track[first:last]

    def at(self, frame: int) -> npt.NDArray[np.intp]:
        """Return the indices of one frame's boxes, by track."""
        return np.arange(*np.searchsorted(self.frame, [frame, frame + 1]))

    @cached_property
    def feet(self) -> Floats:
        """The middle of each box's lower edge, ``(M, 2)``: where a person stands."""
        return np.stack([(self.xyxy[:, 0] + self.xyxy[:, 2]) / 2, self.xyxy[:, 3]], axis=1)

    def of_class(self, label: str) -> Tracks:
        """Return the tracks of one class; no such class, no tracks."""
        names = [name.lower() for name in self.labels]
        wanted = names.index(label.lower()) if label.lower() in names else -1
        return self.only(self.class_id == wanted)

    def only(self, which: npt.NDArray[np.bool_]) -> Tracks:
        """Return some of the boxes, by a mask."""
        names = ("frame", "time_s", "track", "class_id", "xyxy", "confidence", "detection")
        columns: dict[str, Any] = {name: getattr(self, name)[which] for name in names}
        return replace(self, **columns)

    def to_pandas(self) -> pd.DataFrame:
        """Return a table of boxes: frame, time_s, track, class, confidence, x1, y1, x2, y2, origin, detection.

        ``origin`` is ``detected``, ``gap`` where the box lies between two that were, or ``faint`` where the network saw
        somebody too faintly for a detection; ``detection`` as above.
        """
        import pandas as pd

        corners = {name: self.xyxy[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))}
        return pd.DataFrame(
            {
                "frame": self.frame,
                "time_s": self.time_s,
                "track": self.track,
                "class": [self.labels[i] for i in self.class_id],
                "confidence": self.confidence,
                **corners,
                "origin": np.choose(
                    np.maximum(self.detection, -2) * -1, ["detected", "gap", "faint"], mode="clip"
                ),
                "detection": self.detection,
            }
        )

    def summary(self) -> pd.DataFrame:
        """Return a table with a line for each track.

        track, class, first_frame, last_frame, first_s, last_s, seconds, boxes (detected ones, faint ones too), gaps
        (boxes that close gaps), confidence (the mean of those that were detected).
        """
        import pandas as pd

        rows = []
        for number in self.numbers.tolist():
            of = self.of(number)
            seen = of[self.detection[of] != -1]
            first, last = of[0], of[-1]
            rows.append(
                {
                    "track": number,
                    "class": self.labels[self.class_id[first]],
                    "first_frame": int(self.frame[first]),
                    "last_frame": int(self.frame[last]),
                    "first_s": float(self.time_s[first]),
                    "last_s": float(self.time_s[last]),
                    "seconds": float(self.time_s[last] - self.time_s[first]),
                    "boxes": len(seen),
                    "gaps": len(of) - len(seen),
                    "confidence": float(self.confidence[seen].mean()) if len(seen) else 0.0,
                }
            )
        names = ["track", "class", "first_frame", "last_frame", "first_s", "last_s", "seconds"]
        return pd.DataFrame(rows, columns=[*names, "boxes", "gaps", "confidence"])

    def to_mot(self, path: str | Path) -> Path:
        """Write the boxes in the MOTChallenge format, frames and pixels counted from 1, and return the path."""
        lines = [
            f"{frame + 1},{track},{x1 + 1:.2f},{y1 + 1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{confidence:.4f},-1,-1,-1\n"
            for frame, track, (x1, y1, x2, y2), confidence in zip(
                self.frame.tolist(),
                self.track.tolist(),
                self.xyxy.tolist(),
                self.confidence.tolist(),
                strict=True,
            )
        ]
        write_text(path, "".join(lines))
        return Path(path)

    def __repr__(self) -> str:
        each = [len(np.unique(self.track[self.class_id == i])) for i in range(len(self.labels))]
        counts = ", ".join(f"{number} {label}" for number, label in zip(each, self.labels, strict=True))
        return f"Tracks({len(self)} in {len(self.frames)} frames: {counts})"

    def _repr_html_(self) -> str:
        rounded = self.summary().round({"first_s": 2, "last_s": 2, "seconds": 2, "confidence": 3})
        return table(rounded, repr(self))
