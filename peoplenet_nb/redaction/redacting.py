"""A finished run's video once more, with people hidden. It is read twice: for its cuts, then to be written.

What was found is in the run's tables, so no network runs. Sound and all that the file says of itself (when and where,
with which camera) stay behind.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from peoplenet_nb.errors import OutputError, SettingsError, choose
from peoplenet_nb.files import write_text, writing
from peoplenet_nb.fit import FitMode
from peoplenet_nb.html_tables import note, table
from peoplenet_nb.redaction.byhand import BY_HAND, ByHand
from peoplenet_nb.redaction.hiding import How, Image, hide
from peoplenet_nb.redaction.regions import CORNERS, HOLD, MARGIN, What, regions_of
from peoplenet_nb.redaction.sheets import MOST, Sheets
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources import Frame, Source
from peoplenet_nb.sources.repair import some
from peoplenet_nb.tracks import smooth, track_boxes
from peoplenet_nb.tracks.identities import GAP_S
from peoplenet_nb.video.added import DOUBTFUL, REDACTED, REDACTED_TABLE, REDACTED_TEXT
from peoplenet_nb.video.faint import with_faint
from peoplenet_nb.video.original import frames_bar, original_of, render, same_frames, shots_of
from peoplenet_nb.video.result import RunResult, load_result
from peoplenet_nb.video.sound import with_sound
from peoplenet_nb.video.tables import read_frames, write_table

LEAST = 0.2
"""Coverage from which people and faces are hidden where cells were saved: a false one costs a patch."""
SMOOTH_S = 0.2
"""Over how long tracks are smoothed: a box that jumps for a frame leaves a head behind."""


@dataclass(frozen=True)
class Redacted:
    """A redacted video, and what to look at before anybody else does.

    Attributes
    ----------
    video : Path
        ``redacted.mp4`` in the run's folder.
    regions : DataFrame
        What was hidden, as ``redacted.csv``: frame, time_s, track, part, origin, x1, y1, x2, y2.
    doubts : DataFrame
        Moments to look at, as ``doubtful.csv``: time_s, frame, track, reason, x1, y1, x2, y2.
    sheets : list of Path
        ``doubtful-01.png`` and so on: those moments as pictures.
    by_hand : Path
        ``redact.yaml``, where you add and take away; then redact again.
    notes : list of str
        What it does not hide, and what still reveals people.
    """

    video: Path
    regions: Any
    doubts: Any
    sheets: list[Path]
    by_hand: Path
    notes: list[str]

    def __str__(self) -> str:
        return "\n".join([self._what(), f"  {self._check()}", *(f"  note: {text}" for text in self.notes)])

    def _what(self) -> str:
        frames = some(int(self.regions["frame"].nunique()), "frame")
        return f"{self.video}: {some(len(self.regions), 'region')} hidden in {frames}"

    def _check(self) -> str:
        if not len(self.doubts):
            return f"No moment stands out; watch it all the same. Changes go to {self.by_hand}."
        on = f", on {some(len(self.sheets), 'contact sheet')} (doubtful-01.png …)"
        return (
            f"{some(len(self.doubts), 'doubtful moment')} to look at: {DOUBTFUL}{on}. Changes go to {self.by_hand}; "
            "then redact again."
        )

    def _repr_html_(self) -> str:
        rounded = self.doubts[["time_s", "frame", "track", "reason"]].round({"time_s": 2})
        listed = table(rounded, "Doubtful moments", limit=12, more=f"All of them are in {DOUBTFUL}.")
        texts = "".join(note(text) for text in self.notes)
        return (
            f"<p>{escape(self._what())}. {escape(self._check())}</p>{listed if len(rounded) else ''}{texts}"
        )


def redact(
    run: RunResult | str | Path,
    what: str | What = What.HEAD,
    how: str | How = How.SOLID,
    *,
    source: str | Path | None = None,
    margin: float = MARGIN,
    hold: int = HOLD,
    keep_audio: bool = False,
    progress: bool = True,
) -> Redacted:
    """Write a run's video once more with people hidden; the original stays as it is.

    Look at the result before you pass it on. It is no promise that nobody can be recognised, nor that any law is
    complied with.

    Parameters
    ----------
    run : RunResult, str or Path
        A finished run of a video, on every frame or on key frames. With saved cells (``save_grids``) people are hidden
        whom the network saw only faintly.
    what : str
        ``head``, ``face`` (where none was found, the head of the person's box) or ``person``.
    how : str
        ``solid``; ``mosaic`` and ``blur`` leave something to see, which can partly be undone.
    source : str or Path, optional
        Where the video is now; left out, where it was.
    margin : float
        How much larger than a box its region is, 1..3, in width and height.
    hold : int
        How many frames a region stays before and after its track.
    keep_audio : bool
        Whether to keep the sound; voices reveal people too.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Redacted
        Its video; in the run's folder are also tables of what was hidden and of doubtful moments, contact sheets, and
        ``redact.yaml`` for changes by hand, which is read again each time.

    Raises
    ------
    SettingsError
        For an unknown ``what`` or ``how``, an impossible number, or a ``redact.yaml`` that makes no sense.
    OutputError
        When the run cannot be read, was interrupted, knows no people, or its folder cannot be written.
    SourceError
        When the run is of images, or its video is not there or has changed.
    InstallationError
        Without the library `trackers` (extra ``track``).
    """
    part, manner = choose(What, what, "part to hide"), choose(How, how, "way of hiding")
    if not 1 <= margin <= 3 or isinstance(hold, bool) or not 0 <= hold <= 1000:
        seen, step = f"margin={margin}, hold={hold}", f"pass margin={MARGIN}, hold={HOLD}, for example."
        raise SettingsError("The margin is 1 to 3, and hold a number of frames", seen=seen, next_step=step)
    result = load_result(run)
    _check_run(result)
    frames, times, numbers = read_frames(result)
    original = original_of(result, source)
    folder = result.folder
    _refuse_original(original, folder / REDACTED)
    by_hand = ByHand.read(folder / BY_HAND)
    found, faint = with_faint(result, frames, numbers, LEAST)
    with frames_bar(original, 2 * len(numbers), progress) as bar:
        begins = shots_of(bar(same_frames(original, numbers)))
        tracks = track_boxes(found, times, gap_s=GAP_S, numbers=numbers, begins=begins)
        tracks = smooth(tracks, SMOOTH_S)
        size = (original.info.width, original.info.height)
        regions, doubts = regions_of(tracks, found, size, part, margin=margin, hold=hold, begins=begins)
        regions = by_hand.changed(regions, tracks.frames, tracks.times)
        sheets = Sheets(doubts, len(numbers), {number: i for i, number in enumerate(numbers)}, hold + 1)
        boxes: dict[Any, Any] = dict.fromkeys(numbers, np.zeros((0, 4))) | {
            frame: of[CORNERS].to_numpy(np.float64) for frame, of in regions.groupby("frame")
        }

        def paint(at: int, frame: Frame) -> Image:
            picture = frame.image
            hide(picture, boxes[frame.index], manner)
            sheets.look(at, picture)
            return picture

        _write_video(original, bar(same_frames(original, numbers)), paint, folder / REDACTED, keep_audio)
    write_table(regions, folder / REDACTED_TABLE)
    write_table(doubts, folder / DOUBTFUL)
    with writing(folder):
        paths = sheets.write(folder)
    notes = _notes(result, part, manner, keep_audio, len(doubts), faint)
    done = Redacted(folder / REDACTED, regions, doubts, paths, folder / BY_HAND, notes)
    write_text(folder / REDACTED_TEXT, f"{done}\n")
    return done


def _check_run(result: RunResult) -> None:
    if result.interrupted:
        what = "The run was interrupted: what comes after was not looked at"
        step = "continue it with --resume (resume=True), then redact."
        raise OutputError(what, seen=result.folder, next_step=step)
    if "person" not in {label.lower() for label in result.summary["counts"]}:
        seen = f"{', '.join(result.summary['counts'])} in {result.folder}"
        step = "run a model that finds people."
        raise OutputError("The run knows no class person", seen=seen, next_step=step)


def _refuse_original(original: Source, target: Path) -> None:
    for file in original.files:
        if target.exists() and target.samefile(file):
            what = "The redacted video would be written over the original"
            raise OutputError(what, seen=target, next_step="move the original out of the run's folder.")


def _write_video(
    original: Source,
    frames: Iterable[Frame],
    paint: Callable[[int, Frame], Image],
    target: Path,
    keep_audio: bool,
) -> None:
    """Write the video, with sound if wanted; it is moved into place when it is whole."""
    if not keep_audio:
        render(original, frames, paint, target)
        return
    with writing(target.parent), tempfile.TemporaryDirectory(prefix=".redact-", dir=target.parent) as name:
        silent = Path(name) / "silent.mp4"
        with_sound(silent, original, render(original, frames, paint, silent), target)


def _notes(result: RunResult, what: What, how: How, keep_audio: bool, doubts: int, faint: bool) -> list[str]:
    """Return what is not hidden, in plain words."""
    notes = []
    if not faint:
        used, fit = Settings.from_dict(result.summary["settings"]), FitMode(result.summary["model"]["fit"])
        least = used.for_fit(fit).for_class("person").threshold
        if least > LEAST:
            more = f"a run with --save-grids hides whom the network saw from {LEAST} up"
            notes.append(f"The run took people from {least} up; {more}.")
    if doubts > MOST:
        notes.append(f"The contact sheets show the first {MOST} moments.")
    if how is not How.SOLID:
        notes.append(f"{how.capitalize()} leaves something to see, and can partly be undone; solid cannot.")
    if what is not What.PERSON:
        notes.append("Clothes, gait and company can tell who somebody is.")
    if keep_audio:
        notes.append("The sound is as it was; voices can tell who somebody is.")
    shown = " video.mp4 in the same folder shows everybody." if result.video is not None else ""
    return [
        *notes,
        f"The original is as it was, and the run's tables say when and where people were and walked.{shown}",
        "Nobody promises that nobody can be recognised, or that this complies with any law: look at all of it.",
    ]
