"""The same frames run with several choices of key frames, side by side: what each costs and finds."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from peoplenet_nb.html_tables import note, table
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.video.result import RunResult
from peoplenet_nb.video.running import run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class KeyFrameRuns:
    """Runs of the same frames, as a table in a notebook."""

    #: Of each: ``keyframes``, ``frames``, ``inferred``, ``seconds``, boxes by class.
    rows: list[dict[str, object]]
    notes: tuple[str, ...]  #: on the frames

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a table."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def __str__(self) -> str:
        return str(self.to_pandas().to_string(index=False))

    def _repr_html_(self) -> str:
        return table(self.rows) + "".join(note(text) for text in self.notes)


def compare_keyframes(
    source: Source,
    model: PeopleNet,
    settings: Settings,
    choices: Sequence[str | int] = ("off", 3, "auto"),
) -> KeyFrameRuns:
    """Run the frames of a source with each choice of key frames, for tables only, and keep nothing.

    Parameters
    ----------
    source : Source
        A few seconds of a video (``sampled``).
    model, settings
        As in `peoplenet_nb.video.run`.
    choices : sequence of str or int
        As ``keyframes`` of `peoplenet_nb.video.run`.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = [
            run(source, model, settings, folder, name=f"{i}", video=False, progress=False, keyframes=choice)
            for i, choice in enumerate(choices)
        ]
    notes = dict.fromkeys(note for result in made for note in result.notes)
    rows = [_row(choice, result, made[0]) for choice, result in zip(choices, made, strict=True)]
    return KeyFrameRuns(rows, tuple(notes))


def _row(choice: str | int, result: RunResult, first: RunResult) -> dict[str, object]:
    summary, base = result.summary, first.summary["speed"]["wall_s"]
    seconds = summary["speed"]["wall_s"]
    return {
        "keyframes": str(choice),
        "frames": summary["frames"],
        "inferred": summary["frames_inferred"],
        "seconds": round(seconds, 2),
        "times as fast": round(base / seconds, 1) if seconds else None,
        **{f"{label} boxes": number for label, number in summary["counts"].items()},
    }
