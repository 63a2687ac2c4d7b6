"""Identities for a finished run, from its tables; what comes out stands beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import numpy as np

from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import OutputError, SourceError, choose
from peoplenet_nb.files import writing
from peoplenet_nb.html_tables import note
from peoplenet_nb.sources.repair import some
from peoplenet_nb.tracks import Counts, Scene, Tracker, Tracks, count, draw_tracks, smooth, track_boxes, trim
from peoplenet_nb.tracks.identities import GAP_S
from peoplenet_nb.video.added import COUNTED, DRAWN, TRACKED, TRACKS, drop_tracks
from peoplenet_nb.video.faint import with_faint
from peoplenet_nb.video.original import frames_bar, original_of, render, same_frames, shots_of
from peoplenet_nb.video.result import RunResult, load_result
from peoplenet_nb.video.tables import read_frames, write_table

#: Trackers that take faint boxes for somebody whom they follow already, never for somebody new.
_TAKE_FAINT = (Tracker.BYTETRACK, Tracker.BOTSORT)


@dataclass(frozen=True)
class TrackedRun:
    """The tracks of a run.

    Attributes
    ----------
    result : RunResult
        The run.
    tracks : Tracks
    table : Path
        ``tracks.csv``: one line per track, as `Tracks.summary`.
    boxes_table : Path
        ``tracked.csv``: one line per box of a track, as `Tracks.to_pandas`; ``detection`` is the line of
        ``detections.csv``, from 0.
    notes : tuple of str
        What to know of them.
    """

    result: RunResult
    tracks: Tracks
    table: Path
    boxes_table: Path
    notes: tuple[str, ...] = ()

    def count(self, scene: Scene | str | Path, *, label: str = "person") -> Counts:
        """Count who crossed lines and stayed in zones; ``crossings.csv``, ``visits.csv``, ``presence.csv`` say so too.

        Parameters
        ----------
        scene : Scene, str or Path
            Lines and zones in this video's pixels, or their file.
        label : str
            Of which class.

        Raises
        ------
        SettingsError
            When the scene cannot be used, or was drawn in frames of another size.
        OutputError
            When the run's folder cannot be written.
        """
        scene = scene if isinstance(scene, Scene) else Scene.from_yaml(Path(scene).expanduser())
        source = self.result.summary["source"]
        scene.check_size((int(source["width"]), int(source["height"])))
        counts = count(self.tracks, scene, label=label)
        for name in COUNTED:
            write_table(getattr(counts, name.removesuffix(".csv")), self.result.folder / name)
        return counts

    def draw(
        self,
        counts: Counts | None = None,
        *,
        label: str = "person",
        source: str | Path | None = None,
        progress: bool = True,
    ) -> Path:
        """Write ``tracked.mp4``: the video with numbers, trails, and the lines, zones and counters of a scene.

        Parameters
        ----------
        counts : Counts, optional
            What `count` returned.
        label : str
            Of which class.
        source : str or Path, optional
            Where the video is now; left out, where it was.
        progress : bool
            Whether to show a bar.

        Raises
        ------
        SourceError
            When the video is not there or has changed.
        OutputError
            When the run's folder cannot be written.
        """
        original = original_of(self.result, source)
        numbers, target = self.tracks.frames.tolist(), self.result.folder / DRAWN
        people = self.tracks.of_class(label)
        if any(target.exists() and target.samefile(file) for file in original.files):
            step = "move the original out of the run's folder."
            raise OutputError("The video would be written over the original", seen=target, next_step=step)
        with frames_bar(original, len(numbers), progress) as bar:
            render(
                original,
                bar(same_frames(original, numbers)),
                lambda _, frame: draw_tracks(frame.image, people, frame.index, counts=counts),
                target,
            )
        return target

    def __str__(self) -> str:
        lost = len(self.result.to_pandas()) - int((self.tracks.detection >= 0).sum())
        written = f"written to {self.table} and {self.boxes_table.name}"
        lines = [
            f"{self.result.summary['source']['name']}: {self.tracks!r}",
            f"  {some(lost, 'box')} of no track left out; {written}",
        ]
        return "\n".join([*lines, *(f"  note: {text}" for text in self.notes)])

    def _repr_html_(self) -> str:
        where = f"{escape(str(self.table))}</code> and <code>{escape(self.boxes_table.name)}"
        notes = "".join(map(note, self.notes))
        return f"{self.tracks._repr_html_()}<p>Written to <code>{where}</code>.</p>{notes}"


def track(
    run: RunResult | str | Path,
    *,
    tracker: str | Tracker = Tracker.BYTETRACK,
    gap_s: float = GAP_S,
    smooth_s: float = 0.0,
    trim_at: float = 0.0,
    source: str | Path | None = None,
) -> TrackedRun:
    """Give the boxes of a finished run identities.

    Parameters
    ----------
    run : RunResult, str or Path
        What `peoplenet_nb.run` returned, or its folder. The run's own files stay as they are; counts of earlier tracks
        go. With saved cells (``save_grids``) boxes too faint for the tables carry tracks of
        ByteTrack and BoT-SORT on; they begin none.
    tracker : str or Tracker
        ``bytetrack``, ``ocsort``, ``sort`` or ``botsort``.
    gap_s : float
        How long somebody may be lost and is still the same; such gaps are closed.
    smooth_s : float
        Over how long boxes are smoothed, as in `peoplenet_nb.tracks.smooth`: 0.2 steadies boxes
        that tremble, and costs accuracy where they do not.
    trim_at : float
        Confidence below which the ends of a track are cut off.
    source : str or Path, optional
        Where the video is now, which is read once for its cuts: nobody is followed over one. Left out, where it was; if
        it is not there, cuts are not looked for, and a note says so.

    Returns
    -------
    TrackedRun

    Raises
    ------
    OutputError
        When the run cannot be read, or its folder not be written.
    SourceError
        When the run is of images.
    SettingsError
        For an unknown tracker, or an impossible gap, time or confidence.
    InstallationError
        Without the library `trackers` (extra ``track``).
    """
    result = load_result(run)
    frames, times, numbers = read_frames(result)
    begins, notes = _cuts(result, numbers, source)
    kind = choose(Tracker, tracker, "tracker")
    found, faint = with_faint(result, frames, numbers) if kind in _TAKE_FAINT else (frames, False)
    tracks = track_boxes(found, times, tracker=kind, gap_s=gap_s, numbers=numbers, begins=begins)
    tracks = smooth(trim(_named(tracks, found, frames) if faint else tracks, trim_at), smooth_s)
    tables = {TRACKS: tracks.summary(), TRACKED: tracks.to_pandas()}
    for name, table in tables.items():
        write_table(table, result.folder / name)
    with writing(result.folder):
        gone = drop_tracks(result.folder, (*COUNTED, DRAWN))  # they name tracks of before
    if gone:
        again = "counting (--scene) and drawing (--video) make them anew"
        notes += (f"Removed, because they tell of the tracks before: {', '.join(gone)}; {again}.",)
    return TrackedRun(result, tracks, result.folder / TRACKS, result.folder / TRACKED, notes)


def _named(tracks: Tracks, found: list[Detections], frames: list[Detections]) -> Tracks:
    """Return tracks of boxes that were found with what they are in the run's table: the same cell of the same class."""

    def cells(of_frames: list[Detections]) -> Iterator[tuple[int, ...]]:
        for i, of in enumerate(of_frames):
            for cell in zip(of.class_id.tolist(), of.row.tolist(), of.col.tolist(), strict=True):
                yield i, *cell

    known = {cell: line for line, cell in enumerate(cells(frames))}
    names = np.array([known.get(cell, -2) for cell in cells(found)] or [-2], np.int64)
    detection = np.where(tracks.detection < 0, tracks.detection, names[np.maximum(tracks.detection, 0)])
    return replace(tracks, detection=detection)


def _cuts(
    result: RunResult, numbers: list[int], source: str | Path | None
) -> tuple[list[int], tuple[str, ...]]:
    """Return where shots begin, and a note where that is not known."""
    if source is None and "://" in result.summary["source"]["spec"]:
        # It is not fetched for that alone.
        return [], ("Cuts were not looked for: the video is not on this machine.",)
    try:
        return shots_of(same_frames(original_of(result, source), numbers)), ()
    except (SourceError, OutputError) as error:
        if source is not None:
            raise
        return [], (f"Cuts were not looked for. {error}",)
