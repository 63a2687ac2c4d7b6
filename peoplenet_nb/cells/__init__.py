"""The cells of a run, kept: what decode needs of the raw grids of each frame, in one Parquet file a run.

A frame of PeopleNet's grids is 122 KB, and all but some hundred of its 6120 cells say "nothing here". What is kept
are the cells from a coverage of `FLOOR` up, with their exact numbers, so that decoding them gives what decoding the
whole grids gives for every threshold from there on.
"""

from peoplenet_nb.cells.saved import CELLS, open_grids
from peoplenet_nb.cells.store import CellsFile, CellsWriter, join_cells
from peoplenet_nb.cells.values import FLOOR, Cells, Layout, SavedGrids, Timeline

__all__ = [
    "CELLS",
    "FLOOR",
    "Cells",
    "CellsFile",
    "CellsWriter",
    "Layout",
    "SavedGrids",
    "Timeline",
    "join_cells",
    "open_grids",
]
