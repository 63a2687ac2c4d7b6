"""The tuner's logic without a browser: settings with a history, the frame on screen, and what follows.

Every change, from a slider, a preset, undo or a file, goes through `TunerModel.set`, which calls its listeners
once and only when something really changed. So the panel can pass on what the browser shows, and the browser
what the model holds, without going round in circles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from peoplenet_nb.decoding import Decoded, check_floor, decode
from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import GridsError
from peoplenet_nb.fit import FitMode
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import PRESETS, Settings, bind, preset
from peoplenet_nb.tuner.between import Between
from peoplenet_nb.tuner.code import line_of
from peoplenet_nb.tuner.wire import numbers_of, settings_from

_LONGEST_HISTORY = 500


class TunerModel:
    """Settings being tuned on the raw grids of one frame or a clip.

    Parameters
    ----------
    clip : sequence of Grids
        One frame or many; read when needed.
    settings : Settings
        Where to start.
    between : Between, optional
        Which of the frames the network did not see; their grids in the clip are empty.
    tiles : int, optional
        What the grids were made with, where that is known: settings then say so too, whatever is loaded.

    Raises
    ------
    GridsError
        When the clip is empty.
    SettingsError
        When the settings are for another fit than the grids', or name a class that the model has not.
    """

    def __init__(
        self,
        clip: Sequence[Grids],
        settings: Settings,
        between: Between | None = None,
        tiles: int | None = None,
    ) -> None:
        if not len(clip):
            raise GridsError("There is nothing to tune on", seen="no frames", next_step="pass raw grids.")
        self.clip: Sequence[Grids] = clip
        self._between, self._tiles = between, tiles
        self._index = 0
        self._grids = clip[0]
        self.labels: tuple[str, ...] = self._grids.labels
        self._history = [self._taken(settings)]
        self._at = 0
        self._gesture: object = None
        self.base = self.kept
        """What "reset" goes back to: the preset or settings that were loaded last."""
        self.a: Settings | None = None
        """The other side of an A/B comparison."""
        self._listeners: list[Callable[[], None]] = []
        self._decoded: tuple[Settings, int, Decoded] | None = None
        self._seen: tuple[Settings, dict[int, Detections]] = (self.settings, {})

    # -- settings and their history

    @property
    def settings(self) -> Settings:
        """What is chosen now, for frames like these."""
        return self.kept.for_fit(self._grids.fit.mode)

    @property
    def kept(self) -> Settings:
        """What is saved: where settings of ``auto`` were begun with, those for frames of the other shape stay too.

        A threshold that was moved is that of frames like these.
        """
        return self._history[self._at]

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call a function after settings, frame or A changed."""
        self._listeners.append(listener)

    def set(self, settings: Settings, gesture: object = None) -> bool:
        """Choose settings; what was undone before is forgotten. Return whether anything changed.

        Parameters
        ----------
        settings : Settings
            What to choose.
        gesture : object, optional
            Names the drag or key press that this belongs to: all changes of one gesture are one step of undo.

        Raises
        ------
        SettingsError
            When they are for another fit than the grids', or name a class that the model has not.
        """
        settings = self._named(self._taken(settings))
        if settings in (self.kept, self.settings):
            return False
        goes_on = gesture is not None and gesture == self._gesture and self.can_undo
        before = self._history[: self._at + (0 if goes_on else 1)]
        self._gesture = gesture
        if goes_on and settings == before[-1]:  # dragged back to where it began: no step at all
            before.pop()
            self._gesture = None
        self._history = [*before, settings][-_LONGEST_HISTORY:]
        self._at = len(self._history) - 1
        self._changed()
        return True

    def set_numbers(self, numbers: Mapping[str, Any], gesture: object = None) -> bool:
        """Choose what the browser shows (`wire.numbers_of`); return whether anything changed."""
        return self.set(settings_from(numbers, self.labels, self.kept, self._grids.fit.mode), gesture)

    def _taken(self, settings: Settings) -> Settings:
        """Return settings as they are kept; refuse those for another fit, other classes or unsaved cells.

        They stay ``auto`` where that is what these grids were made with.
        """
        fit = self._grids.fit
        here = settings.for_fit(fit.mode)
        bind(here, self.labels)
        check_floor(self._grids, here)
        kept = settings if FitMode.AUTO.of_frame(*fit.frame_size) is fit.mode else here
        return kept if self._tiles is None else kept.replace(tiles=self._tiles)

    def _named(self, settings: Settings) -> Settings:
        """Keep the name of a preset only while its numbers stand."""
        if settings.preset in PRESETS:
            published = preset(settings.preset, settings.fit)
            fits = (FitMode.STRETCH, FitMode.LETTERBOX) if settings.fit is FitMode.AUTO else (settings.fit,)
            one, other = (
                [numbers_of(these.for_fit(fit), self.labels) for fit in fits]
                for these in (published, settings)
            )
            same = one == other
        else:
            same = settings.preset == self.base.preset and settings == self.base
        return settings if same else settings.replace(preset="custom")

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether something was undone."""
        return self._at < len(self._history) - 1

    def undo(self) -> bool:
        """Go back one change; return whether there was one."""
        return self.can_undo and self._step(-1)

    def redo(self) -> bool:
        """Do again what was undone last; return whether there was something."""
        return self.can_redo and self._step(1)

    def _step(self, by: int) -> bool:
        self._at += by
        self._gesture = None
        self._changed()
        return True

    def load_preset(self, name: str) -> bool:
        """Choose a preset, for the preprocessing in use; "reset" then goes back to it."""
        self.base = self._taken(preset(name, self.kept.fit))
        return self.set(self.base)

    def reset(self) -> bool:
        """Go back to the preset or file that was loaded last."""
        return self.set(self.base)

    def save(self, path: str | Path) -> Path:
        """Write the settings to a YAML file, with the preprocessing that they belong to (`kept`)."""
        return self.kept.to_yaml(path)

    def load(self, path: str | Path) -> bool:
        """Choose the settings of a YAML file; "reset" then goes back to them.

        Raises
        ------
        SettingsError
            When it cannot be read, or was chosen for another preprocessing than these grids had.
        """
        self.base = self._taken(Settings.from_yaml(path))
        return self.set(self.base)

    def code(self) -> str:
        """Return the settings as one line of Python, which needs `peoplenet_nb.settings.preset` only."""
        return line_of(self.kept, self.base, self.labels)

    # -- the frame and what is in it

    @property
    def index(self) -> int:
        """The position in the clip of the frame on screen."""
        return self._index

    def go(self, index: int) -> bool:
        """Look at another frame of the clip; beyond its ends the last one. Return whether it is another."""
        index = min(len(self.clip) - 1, max(0, int(index)))
        if index == self._index:
            return False
        self._index, self._grids = index, self.clip[index]
        self._changed()
        return True

    @property
    def grids(self) -> Grids:
        """The raw grids on screen."""
        return self._grids

    @property
    def decoded(self) -> Decoded:
        """The frame on screen under the settings; worked out once."""
        if self._decoded is None or self._decoded[:2] != (self.settings, self._index):
            self._decoded = (self.settings, self._index, self._decode(self._index, self.settings))
        return self._decoded[2]

    def _decode(self, index: int, settings: Settings) -> Decoded:
        """Return what is found in a frame; where the network did not see it, what is between its neighbours."""
        grids = self._grids if index == self._index else self.clip[index]
        decoded = decode(grids, settings)
        if self._between is None or not (note := self._between.note(index)):
            return decoded
        if self._seen[0] != settings:
            self._seen = (settings, {})
        seen = self._seen[1]

        def detect(key: int) -> Detections:
            if key not in seen:
                seen[key] = decode(self.clip[key], settings).detections
            return seen[key]

        found = self._between.detections(index, detect, grids.fit.frame_size)
        return replace(decoded, detections=found, source=np.full(len(found), -1), note=note)

    def detections(self, seen: Settings | None = None) -> list[Detections]:
        """Return what is found in each frame; ``seen`` are other settings for those that the network saw."""
        found = [self._decode(index, self.settings).detections for index in range(len(self.clip))]
        if seen is not None and seen != self.settings:
            for index in range(len(found)) if self._between is None else self._between.keys:
                found[index] = decode(self.clip[index], seen).detections
        return found

    # -- two settings side by side

    def pin(self, settings: Settings) -> None:
        """Keep settings as A, to compare others with."""
        self.a = settings
        self._changed()

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()
