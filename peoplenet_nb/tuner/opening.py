"""What `tune_run` and `label` begin with: the saved grids of a run, what it says of itself, and its pictures."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from peoplenet_nb.cells import SavedGrids, open_grids
from peoplenet_nb.errors import OutputError, SourceError
from peoplenet_nb.evaluation.reading import image_names
from peoplenet_nb.sources import Source, open_source
from peoplenet_nb.video.result import RunResult, is_run, load_result


class OpenedRun:
    """A run's saved grids, with what is known of the run.

    Parameters
    ----------
    folder : str or Path or SavedGrids
        A run's folder, or what `peoplenet_nb.open_grids` opened.

    Attributes
    ----------
    saved : SavedGrids
        Its grids.
    run : RunResult or None
        None where there is no folder of a run, or its tables are gone: the grids can be tuned all the same.

    Raises
    ------
    GridsError
        When there are no saved grids.
    """

    def __init__(self, folder: str | Path | SavedGrids) -> None:
        self.run: RunResult | None = None
        if isinstance(folder, SavedGrids):
            self.saved = folder
            return
        self.saved = open_grids(folder)
        if is_run(folder):
            try:
                self.run = load_result(folder)
            except OutputError:
                self.run = None

    def pictures(self, source: str | Path | Source) -> tuple[Source, list[str] | None]:
        """Open the pictures that were run; return also the names of images, None of a video.

        Raises
        ------
        SourceError
            When they cannot be opened, or are other ones.
        """
        opened = source if isinstance(source, Source) else open_source(source, progress=False)
        if opened.info.kind == "video":
            names, same = None, (opened.info.width, opened.info.height) == self.saved[0].fit.frame_size
        else:
            names = [path.name for path in opened.files]
            ran = names if self.run is None else image_names(self.run)
            pairs = zip_longest(ran or (), names, fillvalue="")
            same = ran is not None and all(name in ("", here) for name, here in pairs)
        if not same:
            what, fix = "These are not the pictures that were run", "pass the video or folder as it was run."
            raise SourceError(what, seen=opened.info.name, next_step=fix)
        return opened, names
