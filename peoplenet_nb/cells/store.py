"""One Parquet file for the cells of many frames: written as they come, read a frame at a time.

A row is a cell: ``frame, class, row, column, coverage`` and, for models with boxes, ``left, top, right, bottom``, in
the order frame, class, row, column. Any reader of Parquet takes it. What is no cell's own stands in the file's
metadata under ``peoplenet_nb``, as JSON: the floor, labels, grid, stride, which frames there are (also those without
any cell) and the fit of each.

Every row group holds the same number of frames, so a frame's row group is known without searching. Floats are split
by bytes before zstd has them, which saves a tenth, and stay exact.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from peoplenet_nb.cells.about import LARGEST, About, schema_of
from peoplenet_nb.cells.values import Cells, Layout, SavedGrids, Timeline
from peoplenet_nb.errors import GridsError, PeopleNetError
from peoplenet_nb.files import PartialFile, writing
from peoplenet_nb.fit import Fit

_GROUP = 32  # frames of a row group: 16 take 1 % more room, 64 a third more time to reach a frame
_DISTANCES = ("left", "top", "right", "bottom")


class CellsWriter:
    """Writes frames, in rising order, to a file that is there when `finish` returns; its folder is made.

    Raises
    ------
    OutputError
        When it cannot be written; so do the methods.
    """

    def __init__(self, path: Path) -> None:
        self._file = PartialFile(path)
        with writing(path):
            self._stream = self._file.partial.open("wb")
        self._first: Cells | None = None
        self._writer: Any = None
        self._pending: list[tuple[int, Cells]] = []
        self._frames: list[int] = []
        self._fits: list[Fit] = []
        self._begins: list[str] = []
        self._between: list[int] = []
        self._times: list[float] = []

    def add(self, frame: int, cells: Cells, *, time_s: float = math.nan, begins: int = 0) -> None:
        """Add a frame's cells; time and what begins with it (`Timeline`) matter where there are frames between.

        Raises
        ------
        GridsError
            When they are of another network or floor than those before, or the frame does not come after them.
        """
        first = self._first = self._first or cells
        if (cells.layout, cells.floor) != (first.layout, first.floor) or frame <= (self._frames or [-1])[-1]:
            raise GridsError(
                "Frames of one file must rise and come from one network",
                seen=f"frame {frame} after {self._frames[-1:]}, {cells.layout} with a floor of {cells.floor:g}",
                next_step="write them in their order, those of another model to another file.",
            )
        self._frames.append(frame)
        self._fits.append(cells.fit)
        self._begins.append(str(begins))
        self._times.append(time_s)
        self._pending.append((frame, cells))
        if len(self._pending) == _GROUP:
            self._flush(cells.layout)

    def add_between(self, frame: int, time_s: float) -> None:
        """Add a frame that the network did not see; one that it saw comes before, and after it unless the file ends."""
        self._between.append(frame)
        self._times.append(time_s)

    def _flush(self, layout: Layout) -> None:
        """Write what is pending as one row group."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = schema_of(layout.has_boxes)
        with writing(self._file.path):
            if self._writer is None:
                encodings = dict.fromkeys(schema.names[4:], "BYTE_STREAM_SPLIT")
                self._writer = pq.ParquetWriter(
                    self._stream,
                    schema,
                    compression="zstd",
                    use_dictionary=["class"],
                    column_encoding=encodings | {"frame": "DELTA_BINARY_PACKED"},
                    write_statistics=["frame"],
                    store_schema=False,
                )
            if self._pending:
                frames, cells = zip(*self._pending, strict=True)
                class_id, row, col = _places(np.concatenate([one.flat for one in cells]), layout)
                named = pa.DictionaryArray.from_arrays(pa.array(class_id.astype(np.int32)), layout.labels)
                columns = [
                    pa.array(np.repeat(np.array(frames, np.int64), [len(one) for one in cells])),
                    named,
                    pa.array(row.astype(np.uint16)),
                    pa.array(col.astype(np.uint16)),
                    pa.array(np.concatenate([one.coverage for one in cells])),
                ]
                if layout.has_boxes:
                    distances = np.concatenate([one.distances for one in cells])
                    columns += [pa.array(np.ascontiguousarray(distances[:, k])) for k in range(4)]
                self._writer.write_table(pa.table(columns, schema), row_group_size=1 << 62)
        self._pending.clear()

    def finish(self) -> None:
        """Write the rest and the metadata, and move the file into place; without a frame there is none."""
        first = self._first
        if first is None:
            self.abandon()
            return
        self._flush(first.layout)
        frames = sorted([*self._frames, *self._between])
        timeline = Timeline(frames, np.array(self._times), "".join(self._begins))
        about = About(first.layout, first.floor, _GROUP, self._frames, self._fits, timeline)
        with writing(self._file.path):
            self._writer.add_key_value_metadata(about.to_metadata())
            self._writer.close()
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._file.keep()

    def abandon(self) -> None:
        """Give the file up; what was written of it goes. After `finish` nothing happens."""
        if self._writer is not None:
            self._writer.is_open = False  # else it writes its end when it is collected
        with suppress(OSError):  # of a full disk, which was told of before
            self._stream.close()
        self._file.drop()


def _places(flat: npt.NDArray[np.uint32], layout: Layout) -> tuple[npt.NDArray[Any], ...]:
    """Return class, row and column of cells."""
    return np.unravel_index(flat, (len(layout.labels), layout.rows, layout.cols))


class CellsFile(SavedGrids):
    """The cells of many frames, read when asked for; what `CellsWriter` wrote.

    Raises
    ------
    GridsError
        When there is no such file, or it is another.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not path.is_file():  # nor a pipe, on which reading would wait for ever
            raise GridsError("No such file of cells", seen=path, next_step="check the path.")
        self.path = path
        try:
            # A column of texts could unpack to any size: one text of many bytes, named by every row.
            self._parquet = pq.ParquetFile(pa.OSFile(os.fsencode(path)), read_dictionary=["class"])
            self._about = About.read(self._parquet)
        except PeopleNetError:
            raise
        except Exception as error:  # pyarrow and JSON have a dozen kinds of them for broken files
            raise self._refused(error) from error
        self.frames, self.floor = self._about.frames, self._about.floor
        self.timeline: Timeline = self._about.timeline
        self._lock = threading.Lock()
        self._held: tuple[int, list[Cells]] = (-1, [])

    def _refused(self, error: object) -> GridsError:
        step = "run the video again with --save-grids."
        return GridsError("The file does not hold saved cells", seen=f"{self.path}: {error}", next_step=step)

    def cells(self, position: int) -> Cells:
        """Return the cells of ``frames[position]``; neighbours are asked for together, so their group is kept."""
        group, inside = divmod(range(len(self))[position], self._about.group)
        with self._lock:
            if self._held[0] != group:
                try:
                    self._held = (group, self._read(group))
                except Exception as error:  # as above
                    raise self._refused(error) from error
            return self._held[1][inside]

    def _read(self, group: int) -> list[Cells]:
        """Return the cells of a row group's frames, in their order."""
        about, layout = self._about, self._about.layout
        here = slice(group * about.group, (group + 1) * about.group)
        frames = np.array(about.frames[here])
        said = self._parquet.metadata.row_group(group)
        if said.num_rows > min(len(frames) * layout.size, LARGEST // 40) or said.total_byte_size > LARGEST:
            raise ValueError(f"{said.num_rows:,} cells in {len(frames)} frames")
        table = self._parquet.read_row_group(group, use_threads=False)
        number = {label: i for i, label in enumerate(layout.labels)}
        named = table["class"].unify_dictionaries().combine_chunks()
        known = np.array([*(number.get(text, -1) for text in named.dictionary.to_pylist()), -1])
        class_id = known[np.from_dlpack(named.indices)]
        row, col = (_numbers(table[name]).astype(np.int64) for name in ("row", "column"))
        shape = (len(layout.labels), layout.rows, layout.cols)
        flat = np.ravel_multi_index((class_id, row, col), shape)
        frame = _numbers(table["frame"])
        edges = np.searchsorted(frame, [*frames, frames[-1] + 1])
        place = np.repeat(np.arange(len(frames)), np.diff(edges)) * layout.size + flat
        if edges[0] or (frames.repeat(np.diff(edges)) != frame).any() or (np.diff(place) < 1).any():
            raise ValueError("its cells are not in order")
        coverage = _numbers(table["coverage"])
        if not ((coverage >= np.float32(about.floor)) & (coverage <= 1)).all():
            raise ValueError("a coverage that cannot be")
        distances = np.stack([_numbers(table[name]) for name in _DISTANCES], 1) if layout.has_boxes else None
        if distances is not None and not np.isfinite(distances).all():
            raise ValueError("a distance that cannot be")
        cells = flat.astype(np.uint32)
        return [
            Cells(
                cells[a:b],
                coverage[a:b],
                None if distances is None else distances[a:b],
                fit,
                layout,
                about.floor,
            )
            for (a, b), fit in zip(pairwise(edges), about.fits[here], strict=True)
        ]


def _numbers(column: Any) -> npt.NDArray[Any]:
    """Return a column without gaps; ``to_numpy`` would import pandas."""
    return np.from_dlpack(column.combine_chunks())


def join_cells(parts: Iterable[Path], out: Path) -> None:
    """Write the cells of files one after the other into one, a row group at a time.

    The result does not depend on how many files there were. A damaged one, or one of another network, is a
    `GridsError`.
    """
    writer = CellsWriter(out)
    try:
        for path in parts:
            file = CellsFile(path)
            line, position = file.timeline, 0
            for frame, time_s in zip(line.frames, line.times.tolist(), strict=True):
                if position < len(file) and frame == file.frames[position]:
                    begins = int(line.begins[position])
                    writer.add(frame, file.cells(position), time_s=time_s, begins=begins)
                    position += 1
                else:
                    writer.add_between(frame, time_s)
        writer.finish()
    finally:
        writer.abandon()
