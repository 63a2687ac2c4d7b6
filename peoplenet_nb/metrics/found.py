"""What was found in many frames, as one table of arrays: the form in which it is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from peoplenet_nb.detections import Detections
from peoplenet_nb.labels import EVERY_CLASS, Labels
from peoplenet_nb.metrics.matching import Floats, Ints, Mask, Pairs, find_pairs


@dataclass(frozen=True, eq=False)
class Found:
    """Boxes of many frames; arrays run in parallel over N boxes, frame by frame."""

    frame: Ints  # ``(N,)`` int64: which of the frames, from 0
    class_id: Ints  # ``(N,)`` int64
    xyxy: Floats  # ``(N, 4)`` float64 in frame pixels
    confidence: Floats  # ``(N,)`` float64

    @classmethod
    def of(cls, frames: Sequence[Detections]) -> Found:
        """Return the detections of frames, in their order."""
        none = np.zeros(0, np.int64)
        return cls(
            np.arange(len(frames)).repeat([len(d) for d in frames]),
            np.concatenate([none, *(d.class_id for d in frames)]),
            np.concatenate([np.zeros((0, 4)), *(d.xyxy for d in frames)]).astype(np.float64),
            np.concatenate([np.zeros(0), *(d.confidence for d in frames)]).astype(np.float64),
        )

    def against(self, labels: Labels, class_id: int, least: float) -> tuple[Found, Ints, Pairs]:
        """Return the boxes of a class, its truths as indices into labels, and who overlaps whom by ``least``."""
        mine = self[self.class_id == class_id]
        which = np.flatnonzero(np.isin(labels.class_id, (class_id, EVERY_CLASS)))
        truths = labels.frame[which], labels.xyxy[which], labels.ignore[which]
        return mine, which, find_pairs(mine.frame, mine.xyxy, mine.confidence, *truths, least)

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, which: Mask | Ints) -> Found:
        return Found(self.frame[which], self.class_id[which], self.xyxy[which], self.confidence[which])
