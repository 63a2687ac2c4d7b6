"""What the metadata of a file of cells says, which is no cell's own: written as JSON, read with distrust."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from peoplenet_nb.cells.values import Layout, Timeline
from peoplenet_nb.errors import GridsError, choose
from peoplenet_nb.fit import Fit, FitMode

LARGEST = 1 << 28
"""Bytes of a row group, unpacked; PeopleNet's have some 100 KB."""
_FORMAT = 1
_KEY = b"peoplenet_nb"
_MOST_FRAMES, _LARGEST_GROUP = 1 << 32, 1024


def schema_of(has_boxes: bool) -> Any:
    """Return the columns of a file, as a ``pyarrow.Schema``."""
    import pyarrow as pa

    named = pa.dictionary(pa.int32(), pa.string())
    whole = [("frame", pa.int64()), ("class", named), ("row", pa.uint16()), ("column", pa.uint16())]
    floats = ("coverage", "left", "top", "right", "bottom") if has_boxes else ("coverage",)
    return pa.schema([*whole, *((name, pa.float32()) for name in floats)])


@dataclass(frozen=True, slots=True, eq=False)
class About:
    """What a file's metadata says."""

    layout: Layout  # of all frames
    floor: float  # the least coverage that was kept
    group: int  # frames of each row group but the last
    frames: list[int]  # which frames there are, rising; also those without any cell
    fits: list[Fit]  # one per frame
    timeline: Timeline  # all frames of the run, also those that the network did not see

    def to_metadata(self) -> dict[bytes, bytes]:
        """Return it as Parquet's key-value metadata."""
        layout = self.layout
        about = {
            "format": _FORMAT,
            "floor": self.floor,
            "labels": layout.labels,
            "rows": layout.rows,
            "columns": layout.cols,
            "stride": layout.stride,
            "frames_per_row_group": self.group,
            "frames": _runs(self.frames),
            "fits": [
                [len(list(same)), str(fit.mode), fit.frame_size, fit.content_size]
                for fit, same in groupby(self.fits)
            ],
            "between": _runs(sorted({*self.timeline.frames}.difference(self.frames))),
            "times": base64.b64encode(self.timeline.times.astype("<f8").tobytes()).decode(),
            "begins": self.timeline.begins,
        }
        return {_KEY: json.dumps(about).encode()}

    @classmethod
    def read(cls, parquet: Any) -> About:
        """Return that of a ``pyarrow.parquet.ParquetFile``; for another file any `Exception` may come."""
        metadata = parquet.metadata
        if _KEY not in (said := metadata.metadata or {}):
            raise ValueError("another program wrote it")
        about = json.loads(said[_KEY])
        if about["format"] != _FORMAT:
            raise GridsError(
                "The cells were saved by another version",
                seen=f"format {about['format']}",
                next_step="run the video again with --save-grids.",
            )
        rows, cols, stride = (int(about[name]) for name in ("rows", "columns", "stride"))
        floor, group = float(about["floor"]), int(about["frames_per_row_group"])
        has_boxes = metadata.num_columns > 5
        layout = Layout(tuple(map(str, about["labels"])), rows, cols, stride, has_boxes)
        if not parquet.schema_arrow.remove_metadata().equals(schema_of(has_boxes)):
            raise ValueError("its columns are others")
        fine = min(rows, cols, stride, group, layout.size) >= 1 and 20 * layout.size <= LARGEST
        if not fine or group > _LARGEST_GROUP or not 0 <= floor <= 1:
            raise ValueError(f"a grid of {rows} rows and {cols} columns from {floor} up")
        times = np.frombuffer(base64.b64decode(about["times"]), "<f8")
        frames = _frames(about["frames"], most=len(times))
        count = len(frames)
        if not frames or -(-count // group) != metadata.num_row_groups:
            raise ValueError(f"{count} frames in {metadata.num_row_groups} row groups of {group}")
        fits: list[Fit] = []
        for number, mode, frame_size, content_size in about["fits"]:
            sizes = [(int(w), int(h)) for w, h in (frame_size, content_size)]
            fit = Fit(choose(FitMode, mode, "fit"), sizes[0], layout.network_size, sizes[1])
            if not 1 <= number <= count - len(fits) or min(*sizes[0], *sizes[1]) < 1:
                raise ValueError(f"the fit {fit} of {number} frames")
            fits += [fit] * number
        if len(fits) != count:
            raise ValueError("frames without a fit")
        every = sorted([*frames, *_frames(about["between"], most=len(times))])
        begins = str(about["begins"])
        if len(every) != len(times) or len(begins) != count or not {*begins} <= {*"012"}:
            raise ValueError("times and frames do not go together")
        if (np.diff(every) < 1).any():
            raise ValueError("a frame that is there twice")
        return cls(layout, floor, group, frames, fits, Timeline(every, times, begins))


def _frames(runs: Any, most: int) -> list[int]:
    """Return rising frames from their runs; a `ValueError` for what cannot be such."""
    runs = [(int(first), int(step), int(count)) for first, step, count in runs]
    if sum(count for _, _, count in runs) > most or any(min(step, count) < 1 for _, step, count in runs):
        raise ValueError("more frames than there is room for")
    frames = [first + step * i for first, step, count in runs for i in range(count)]
    if frames and not 0 <= frames[0] <= frames[-1] < _MOST_FRAMES:
        raise ValueError("frames that cannot be")
    if any(later <= earlier for earlier, later in pairwise(frames)):
        raise ValueError("its frames do not rise")
    return frames


def _runs(frames: list[int]) -> list[list[int]]:
    """Return rising numbers as ``[first, step, count]``, where the steps are alike.

    Examples
    --------
    >>> _runs([0, 1, 2, 10, 13, 16])
    [[0, 1, 3], [10, 3, 3]]
    """
    runs: list[list[int]] = []
    for frame in frames:
        if runs and runs[-1][2] == 1:
            runs[-1][1:] = [frame - runs[-1][0], 2]
        elif runs and frame == runs[-1][0] + runs[-1][1] * runs[-1][2]:
            runs[-1][2] += 1
        else:
            runs.append([frame, 1, 1])
    return runs
