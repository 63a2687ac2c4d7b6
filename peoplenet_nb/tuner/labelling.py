"""Labels made in the notebook, in minutes: `label` shows frames with boxes that only have to be put right.

The browser holds the boxes and sends those of a frame that changed; the kernel checks them and has them on disk before
the page says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from peoplenet_nb.cells import SavedGrids
from peoplenet_nb.errors import GridsError, OutputError, SettingsError, SourceError, refuse_unknown
from peoplenet_nb.labels import Labels, read_labels
from peoplenet_nb.settings import Settings, preset
from peoplenet_nb.tuner.canvas import LabelCanvas
from peoplenet_nb.tuner.choosing import choose_frames, prefilled
from peoplenet_nb.tuner.guarded import Guarded, guarded
from peoplenet_nb.tuner.labelfile import LabelFile
from peoplenet_nb.tuner.opening import OpenedRun
from peoplenet_nb.tuner.pictures import VideoPictures
from peoplenet_nb.tuner.wire import pack_clip, pack_grids, shape_of

if TYPE_CHECKING:
    from peoplenet_nb.sources import Source


def label(
    folder: str | Path | SavedGrids,
    source: str | Path | Source | None = None,
    to: str | Path | None = None,
    *,
    frames: int = 20,
    classes: Sequence[str] | None = None,
    settings: Settings | None = None,
) -> Labeller:
    """Label some frames of a run, beginning with what the model found in them.

    The frames are those where the settings are least sure, spread over the run. Every action is saved at once, and
    calling it again with the same file goes on from there, with more ``frames`` too.

    Parameters
    ----------
    folder : str or Path or SavedGrids
        A run's folder with saved grids, or what `peoplenet_nb.open_grids` opened.
    source : str, Path or Source, optional
        The video or folder of images that was run; left out, the one that the run names.
    to : str or Path, optional
        The COCO file, which `read_labels`, `evaluate` and `recommend` take; left out, ``<run>-labels.json`` beside the
        run's folder.
    frames : int
        How many to label.
    classes : sequence of str, optional
        Which classes are labelled; left out, the model's first, ``person``. Boxes of the others are not judged.
    settings : Settings, optional
        What gives the first boxes; left out, the run's own.

    Returns
    -------
    Labeller
        Shown by being the last line of a cell; ``.labels`` is what was labelled so far.

    Raises
    ------
    GridsError
        When there are no saved grids, no boxes in them, or frames of several sizes.
    SourceError
        When there are no pictures, or other ones than were run.
    SettingsError
        When the model has no such class, or nothing is to be labelled.
    OutputError
        When the file is there and was not begun here, or for another source, other frames or classes.
    """
    if frames < 1 or (classes is not None and not classes):
        what, fix = "There is nothing to label", "ask for one frame or more, and for one class or more."
        raise SettingsError(what, seen=f"frames={frames}, classes={classes}", next_step=fix)
    opened = OpenedRun(folder)
    saved, run = opened.saved, opened.run
    if source is None:
        if run is None:
            what, fix = "Labelling needs the pictures", "pass the video or folder that was run."
            raise SourceError(what, seen="no source", next_step=fix)
        source = str(run.summary["source"]["spec"])
    source, names = opened.pictures(source)
    if to is None:
        if isinstance(folder, SavedGrids):
            what, fix = "Labels need a file", "name one (to=…)."
            raise OutputError(what, seen="saved grids without a folder", next_step=fix)
        run_folder = Path(folder).expanduser().resolve()
        to = run_folder.with_name(f"{run_folder.name}-labels.json")
    if settings is None:
        settings = Settings.from_dict(run.summary["settings"]) if run else preset(fit=saved[0].fit.mode)
    first = saved[0]
    if first.boxes is None:
        what = "This model has a coverage output only: there are no boxes to begin with"
        raise GridsError(what, seen=", ".join(first.labels), next_step="use a model with boxes.")
    chosen = tuple(first.labels[:1] if classes is None else classes)
    refuse_unknown(chosen, first.labels, "class", "choose from")
    settings = settings.for_fit(first.fit.mode)
    file = _opened(saved, source.info.name, Path(to).expanduser(), settings, chosen, frames)
    return Labeller(file, saved, VideoPictures(source, file.frames), names)


def _opened(
    saved: SavedGrids, source: str, path: Path, settings: Settings, classes: tuple[str, ...], frames: int
) -> LabelFile:
    """Return the file that was begun, with further frames where more are asked for, or a new one."""
    labels, size = saved[0].labels, saved[0].fit.frame_size
    file = LabelFile(path, source, size, classes, [], []).begun()
    place = {frame: position for position, frame in enumerate(saved.frames)}
    if lost := [frame for frame in file.frames if frame not in place]:
        what, fix = "These labels were begun for another run", "choose another file (to=…)."
        raise OutputError(what, seen=f"frame {lost[0]} is not in this one", next_step=fix)
    known = dict(zip(file.frames, file.records, strict=True))
    file.frames = choose_frames(saved, settings, classes, frames, file.frames)
    number = {labels.index(name): i for i, name in enumerate(classes)}
    for frame in file.frames:
        if frame not in known:
            boxes = prefilled(saved[place[frame]], settings, classes)
            known[frame] = {"boxes": [one | {"c": number[one["c"]]} for one in boxes], "done": False}
        if saved.cells(place[frame]).fit != saved[0].fit:
            what = "The frames of this run are not all of one size"
            seen = f"frame {frame} differs from frame {saved.frames[0]}"
            raise GridsError(what, seen=seen, next_step="run images of one size on their own.")
    file.records = [known[frame] for frame in file.frames]
    return file


class Labeller(w.VBox, Guarded):  # type: ignore[misc]
    """Frames with boxes to put right; made by `label`, which says what goes in.

    Attributes
    ----------
    file : LabelFile
        What was labelled so far.
    errors : list of str
        What failed in callbacks, in the kernel and in the browser.
    """

    def __init__(
        self, file: LabelFile, saved: SavedGrids, pictures: VideoPictures, names: Sequence[str] | None
    ) -> None:
        self._begin_guarding()
        self.file, self._pictures = file, pictures
        self._names = [names[i] if names else f"frame_{i:06d}.jpg" for i in file.frames]
        place = {frame: position for position, frame in enumerate(saved.frames)}
        cells = [saved.cells(place[frame]) for frame in file.frames]
        self._grids = [one.grids() for one in cells]
        first = self._grids[0]
        self._model_labels = first.labels
        self._numbers = [first.labels.index(name) for name in file.classes]
        self.canvas: LabelCanvas = LabelCanvas(
            shape=shape_of(first),
            jpeg=pictures.first(),
            grids=pack_grids(self._grids[0]),
            has_pictures=True,
            clip=pack_clip(cells, floors=[first.floor], limit=0).data,
            frame_names=file.frames,
            classes=self._numbers,
            records=self._renumbered(file.records, dict(enumerate(self._numbers))),
            path=str(file.path),
        )
        self.canvas.on_msg(self._on_message)
        super().__init__(self._framed(self.canvas))

    @property
    def path(self) -> Path:
        """The COCO file."""
        return self.file.path

    @property
    def done(self) -> int:
        """How many frames are done."""
        return self.file.done

    @property
    def labels(self) -> Labels:
        """What was labelled so far, as `read_labels` reads it; a `SourceError` while no frame is done."""
        if not self.done:
            what, fix = "No frame is labelled yet", "press Enter on a frame that is right."
            raise SourceError(what, seen=self.path, next_step=fix)
        return read_labels(self.path, self._model_labels)

    def close(self) -> None:
        """Take the widget and the temporary pictures away; the labels stay."""
        self._pictures.close()
        super().close()

    # -- between the browser, which knows the model's classes by number, and the file, which knows those labelled

    @staticmethod
    def _renumbered(records: Any, number: Mapping[int, int]) -> list[dict[str, Any]]:
        return [
            {**record, "boxes": [{**one, "c": number.get(one["c"], one["c"])} for one in record["boxes"]]}
            for record in records
        ]

    @guarded("work")
    def _on_work(self, content: Mapping[str, Any]) -> None:
        frames, records = zip(*content["records"], strict=True)
        number = {c: i for i, c in enumerate(self._numbers)}
        self.file.put(dict(zip(frames, self._renumbered(records, number), strict=True)))
        for frame, record in content["records"]:
            # In place, so that nothing is sent back; a page that is loaded anew asks for all of them.
            self.canvas.records[frame] = record
        self.file.save(self._names)
        self.canvas.saved = int(content["revision"])

    @guarded("message")
    def _on_message(self, _: Any, content: Mapping[str, Any], __: Any) -> None:
        if content.get("type") == "work":
            self._on_work(content)
        elif content.get("type") == "frame":
            position = int(content["index"])
            self.canvas.answer(position, self._grids[position], self._pictures)
        else:
            self._hear(content)
