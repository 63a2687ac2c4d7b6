"""What a run left behind: its files and its summary, shown as text in a shell and as a table in a notebook."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peoplenet_nb.errors import OutputError
from peoplenet_nb.html_tables import fold, note, table
from peoplenet_nb.sources.repair import some
from peoplenet_nb.video.livelog import in_words

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class RunResult:
    """What a run left behind.

    Attributes
    ----------
    folder : Path
        All of it.
    video : Path or None
        ``video.mp4``, for videos that were asked to be drawn.
    images : Path or None
        The folder of annotated images, for images.
    table : Path
        ``detections.csv``: one line per detection.
    frames_table : Path
        ``frames.csv``: one line per frame with the counts per class, frames without detections included.
    parquet : Path or None
        ``detections.parquet``: the same; None where it was deleted.
    summary : dict
        What ``summary.json`` holds.
    interrupted : bool
        Whether the run was stopped before its end; ``resume=True`` continues it.
    """

    folder: Path
    video: Path | None
    images: Path | None
    table: Path
    frames_table: Path
    parquet: Path | None
    summary: dict[str, Any] = field(repr=False)
    interrupted: bool = False

    @property
    def notes(self) -> list[str]:
        """What the reader should know of this run."""
        return list(self.summary.get("notes", []))

    def __str__(self) -> str:
        speed = self.summary["speed"]
        lines = [
            f"{self._title()}, found "
            + ", ".join(f"{number} {label}" for label, number in self.summary["counts"].items())
            + (" (interrupted: continue with --resume)" if self.interrupted else ""),
            f"  {speed['fps']} frames per second on {self.summary['model']['device']}; per frame, in ms: "
            + ", ".join(f"{stage} {value:.1f}" for stage, value in speed["ms_per_frame"].items()),
            *([f"  {in_words(self.summary['live'])}"] if "live" in self.summary else []),
            f"  written to {self.folder}: {', '.join(self.summary['files'].values())}, summary.json",
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        """Return what was found, where the time went, what to know and where it all is, for a notebook."""
        speed, present = self.summary["speed"], self.summary["frames_with"]
        found = [
            {"class": label, "boxes": number, "frames with it": present[label]}
            for label, number in self.summary["counts"].items()
        ]
        times = [{"stage": stage, "ms per frame": ms} for stage, ms in speed["ms_per_frame"].items()]
        state = "; it was interrupted: <code>resume=True</code> continues it" if self.interrupted else ""
        files = [*self.summary["files"].values(), "summary.json"]
        parts = [
            f"<p>{escape(self._title())} in {speed['wall_s']:.1f} s: {speed['fps']} frames per second on "
            f"{escape(self.summary['model']['device'])}{state}.</p>",
            *([note(in_words(self.summary["live"]))] if "live" in self.summary else []),
            table(found),
            fold("Time per stage", table(times)),
            *(note(text) for text in self.notes),
            f"<p>Written to <code>{escape(str(self.folder))}</code>: {escape(', '.join(files))}.</p>",
        ]
        return "".join(parts)

    def _title(self) -> str:
        title = f"{self.summary['source']['name']}: {some(self.summary['frames'], 'frame')}"
        if self.summary.get("keyframes", "off") != "off":
            title += f" ({self.summary['frames_inferred']} inferred, the others interpolated)"
        return title

    def to_pandas(self) -> pd.DataFrame:
        """Return the detections as a table."""
        import pandas as pd

        return pd.read_csv(self.table, dtype={"source": str, "class": str})

    def frames_to_pandas(self) -> pd.DataFrame:
        """Return the counts per frame and class as a table."""
        import pandas as pd

        return pd.read_csv(self.frames_table, dtype={"source": str})


def is_run(what: str | Path) -> bool:
    """Tell whether something is the folder of a run, and not a source."""
    return _holds(what, "summary.json")


def _holds(folder: str | Path, name: str) -> bool:
    try:
        return (Path(folder).expanduser() / name).is_file()
    except (OSError, RuntimeError, ValueError):  # no path at all
        return False


def _runs_in(folder: Path) -> str:
    try:
        inside = [str(folder / one.parent.name) for one in sorted(folder.glob("*/summary.json"))]
    except (OSError, ValueError):
        inside = []
    found = f", e.g. {inside[0]}" if inside else ""
    return f"name the folder that peoplenet-nb detect wrote{found}."


def load_result(run: RunResult | str | Path) -> RunResult:
    """Return the result of a finished run, given its folder; a result is returned as it is.

    Raises
    ------
    OutputError
        When it is not the folder of a run, its summary cannot be read, or a table was deleted.
    """
    if isinstance(run, RunResult):
        return run
    if not is_run(run) and not _holds(run, "run.json"):  # else it was begun, and has an end or none
        raise OutputError("This is not the folder of a run", seen=run, next_step=_runs_in(Path(run)))
    folder = Path(run).expanduser()
    path = folder / "summary.json"
    try:
        result = result_of(folder, json.loads(path.read_text(encoding="utf-8")))
        _ = f"{result}{result._repr_html_()}"  # what is shown later must be there
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what, seen = "The summary of the run cannot be read", f"{path}: {error!r}"
        step = "run again, with --resume where it was interrupted, else with --overwrite."
        raise OutputError(what, seen=seen, next_step=step) from error
    for path in (result.table, result.frames_table):
        if not path.is_file():
            what = "The run is complete, but one of its tables is not there any more"
            raise OutputError(what, seen=path, next_step="run again with --overwrite.")
    return result


def result_of(folder: Path, summary: dict[str, Any]) -> RunResult:
    """Return the result that a summary describes; files that were deleted since are left out."""
    summary["files"] = {
        name: file
        for name, file in summary["files"].items()
        if (folder / file).exists() or name in ("detections", "frames")
    }
    files = {name: folder / file for name, file in summary["files"].items()}
    shown, tables = (files.get("video"), files.get("images")), (files["detections"], files["frames"])
    return RunResult(folder, *shown, *tables, files.get("parquet"), summary, not summary["complete"])
