"""The raw output of one frame, kept: the object that everything after the network works on.

``Grids`` is checked once, when it is made, so that decode and the tuner
never meet a wrong shape or NaN. It is 122 KB for PeopleNet; what a run keeps of it is in `peoplenet_nb.cells`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from peoplenet_nb.errors import GridsError, PeopleNetError, choose
from peoplenet_nb.files import atomic
from peoplenet_nb.fit import Fit, FitMode

_FORMAT = 1
_LARGEST = 1 << 28  # bytes of one frame's grids, unpacked; PeopleNet's are 122 KB


@dataclass(frozen=True, eq=False)
class Grids:
    """Coverage and box distances of one frame, as the network left them.

    Parameters
    ----------
    coverage : ndarray
        ``(C, rows, cols)`` float32, already through the sigmoid.
    boxes : ndarray or None
        ``(4 C, rows, cols)`` float32: for class ``c`` the channels ``4c .. 4c + 3`` are the distances to
        left, top, right and bottom over 35. None for a coverage-only model.
    fit : Fit
        How the frame was resized to the network's input.
    labels : tuple of str
        One name per class.
    stride : int
        Network pixels per cell.
    floor : float
        Cells of a lower coverage were not kept and stand as 0, so that no threshold below it can be decoded;
        0 for what comes from the network.

    Raises
    ------
    GridsError
        For wrong shapes or dtypes, labels that do not match, NaN or infinity.
    """

    coverage: npt.NDArray[np.float32]
    boxes: npt.NDArray[np.float32] | None
    fit: Fit
    labels: tuple[str, ...]
    stride: int = 16
    floor: float = 0.0

    def __repr__(self) -> str:
        """Return a line: the arrays are long."""
        boxes = "no boxes" if self.boxes is None else f"boxes {'x'.join(map(str, self.boxes.shape))}"
        coverage, frame = ("x".join(map(str, size)) for size in (self.coverage.shape, self.fit.frame_size))
        return f"Grids(coverage {coverage}, {boxes}, of {', '.join(self.labels)}; frame {frame}, {self.fit.mode})"

    def __post_init__(self) -> None:
        shape = np.shape(self.coverage)
        if len(shape) != 3 or 0 in shape:
            raise GridsError(
                "Coverage must have the shape (classes, rows, columns)",
                seen=shape,
                next_step="pass one frame of the model's coverage output, without the batch axis.",
            )
        classes, rows, cols = shape
        if self.boxes is not None and np.shape(self.boxes) != (4 * classes, rows, cols):
            raise GridsError(
                f"Boxes must have the shape {(4 * classes, rows, cols)} to go with coverage {shape}",
                seen=np.shape(self.boxes),
                next_step="pass the box output of the same frame; they differ in their number of channels.",
            )
        if len(self.labels) != classes:
            raise GridsError(
                f"There must be one label for each of the {classes} classes",
                seen=self.labels,
                next_step="fix labels.txt beside the model.",
            )
        needed = (cols * self.stride, rows * self.stride)
        if needed != tuple(self.fit.network_size):
            raise GridsError(
                f"{rows} rows and {cols} columns at stride {self.stride} do not make the network input",
                seen=f"{needed[0]}x{needed[1]} against {self.fit.network_size[0]}x{self.fit.network_size[1]} pixels",
                next_step="pass the fit and the stride of the model that made them.",
            )
        for name in ("coverage", "boxes"):
            self._check_values(name)
        low, high = float(self.coverage.min()), float(self.coverage.max())
        if low < 0.0 or high > 1.0:
            raise GridsError(
                "Coverage must lie between 0 and 1",
                seen=f"{low:g} to {high:g}",
                next_step="pass the output after its sigmoid (output_cov/Sigmoid:0 of PeopleNet).",
            )

    def _check_values(self, name: str) -> None:
        array = getattr(self, name)
        if array is None:
            return
        if array.dtype != np.float32:
            raise GridsError(
                f"{name} must be float32", seen=array.dtype, next_step="convert it with astype('float32')."
            )
        if not np.isfinite(array).all():
            bad = int(array.size - np.isfinite(array).sum())
            raise GridsError(
                f"{name} holds values that are not numbers",
                seen=f"{bad} of {array.size} are NaN or infinite",
                next_step="check the network input (is it RGB / 255?) and try device='cpu'.",
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Classes, rows and columns."""
        classes, rows, cols = self.coverage.shape
        return (classes, rows, cols)

    def cell_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Return the ``(row, column)`` of the cell under a point in frame pixels, or None outside."""
        network_x, network_y = self.fit.to_network((x, y))
        if not (np.isfinite(network_x) and np.isfinite(network_y)):
            return None
        row, col = int(np.floor(network_y / self.stride)), int(np.floor(network_x / self.stride))
        _, rows, cols = self.shape
        return (row, col) if 0 <= row < rows and 0 <= col < cols else None

    def save(self, path: str | Path) -> Path:
        """Write everything to one ``.npz`` (through a temporary name) and return its path."""
        with atomic(path) as partial, partial.open("wb") as stream:
            self.write(stream)
        return Path(path)

    def write(self, stream: BinaryIO) -> None:
        """Write what `save` writes to a stream."""
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "format": np.array(_FORMAT),
            "coverage": self.coverage,
            "fit_mode": np.array(str(self.fit.mode)),
            "sizes": np.array([self.fit.frame_size, self.fit.network_size, self.fit.content_size], np.int64),
            "labels": np.array(self.labels, dtype=np.str_),
            "stride": np.array(self.stride),
            "floor": np.array(self.floor),
        }
        if self.boxes is not None:
            arrays["boxes"] = self.boxes
        np.savez(stream, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path | BinaryIO) -> Grids:
        """Read what `save` or `write` wrote, from a file or a stream.

        Raises
        ------
        GridsError
            When there is no such file, or it is not one that `save` wrote.
        """
        try:
            return cls._read(Path(path) if isinstance(path, str) else path)
        except PeopleNetError:
            raise
        except Exception as error:  # zipfile, zlib and NumPy have a dozen kinds of them for broken files
            raise GridsError(
                "The file does not hold saved grids",
                seen=f"{path}: {error}",
                next_step="save it with Grids.save.",
            ) from error

    @classmethod
    def _read(cls, path: Path | BinaryIO) -> Grids:
        if isinstance(path, Path) and not path.is_file():  # nor a pipe, on which reading would wait for ever
            raise GridsError("No such grids file", seen=path, next_step="check the path.")
        with np.load(path, allow_pickle=False) as data:
            if (size := sum(member.file_size for member in data.zip.infolist())) > _LARGEST:
                raise ValueError(f"it unpacks to {size:,} bytes")
            if int(data["format"]) != _FORMAT:
                raise GridsError(
                    "The grids were saved by another version",
                    seen=f"{path}: format {int(data['format'])}",
                    next_step="run the video again with --save-grids.",
                )
            sizes = [(int(w), int(h)) for w, h in data["sizes"]]
            fit = Fit(choose(FitMode, data["fit_mode"].item(), "fit"), sizes[0], sizes[1], sizes[2])
            labels = tuple(str(label) for label in data["labels"])
            floor = float(data.get("floor", np.array(0.0)))  # earlier versions kept everything
            return cls(data["coverage"], data.get("boxes"), fit, labels, int(data["stride"]), floor)
