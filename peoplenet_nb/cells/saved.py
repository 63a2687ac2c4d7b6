"""The saved grids of a run, however they were saved: the one way to open them."""

from __future__ import annotations

import re
from pathlib import Path

from peoplenet_nb.cells.store import CellsFile
from peoplenet_nb.cells.values import Cells, SavedGrids
from peoplenet_nb.errors import GridsError
from peoplenet_nb.grids import Grids

CELLS = "cells.parquet"


class _Folder(SavedGrids):
    """A file for each frame, named by its index: what earlier versions saved."""

    def __init__(self, folder: Path) -> None:
        # Whole numbers only: a browser's second download is "000001 (1).npz".
        files = (path for path in folder.glob("*.npz") if re.fullmatch("[0-9]{6,18}", path.stem))
        self._paths = sorted(files, key=lambda path: int(path.stem))
        if not self._paths:
            step = "run the video with --save-grids first."
            raise GridsError("No saved grids in this folder", seen=folder, next_step=step)
        self.frames = [int(path.stem) for path in self._paths]

    def cells(self, position: int) -> Cells:
        return Cells.of(self[position])

    def __getitem__(self, position: int) -> Grids:  # type: ignore[override]
        return Grids.load(self._paths[position])


def open_grids(path: str | Path) -> SavedGrids:
    """Open what a run saved with ``save_grids=True`` (``--save-grids``).

    Parameters
    ----------
    path : str or Path
        The folder of a run, its ``cells.parquet``, or a ``grids`` folder that an earlier version saved.

    Returns
    -------
    SavedGrids
        A sequence of `Grids` with ``frames``, which says which frames they are.

    Raises
    ------
    GridsError
        When there are none, or they are damaged.

    Examples
    --------
    >>> import peoplenet_nb as pn
    >>> saved = pn.open_grids("out/street")  # doctest: +SKIP
    >>> pn.decode(saved[0], pn.preset("default"))  # doctest: +SKIP
    """
    path = Path(path).expanduser()
    inside = path / CELLS
    if path.is_file() or inside.is_file():
        return CellsFile(path if path.is_file() else inside)
    return _Folder(path / "grids" if (path / "grids").is_dir() else path)
