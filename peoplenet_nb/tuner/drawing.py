"""Lines and zones drawn on the tuner's canvas: what was drawn, its file, and who crosses and stays.

The browser sends what the hand drew; whether it can be used `peoplenet_nb.tracks.Scene` says. What cannot be used is
shown where it was drawn, so that it can be put right, and is never written: ``scene`` is the last that could.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.tracks import Counts, Scene, count, track_boxes
from peoplenet_nb.tuner.between import Between
from peoplenet_nb.tuner.model import TunerModel

FILE = "scene.yaml"
"""Beside the file of the settings."""


class Drawing:
    """The scene of a panel.

    Parameters
    ----------
    model : TunerModel
        Whose frames are drawn on.
    times : sequence of float
        When each frame of its clip is shown, in seconds.
    show : callable
        Called with lines and zones as plain data when they did not come from the browser.
    """

    def __init__(
        self, model: TunerModel, times: Sequence[float], show: Callable[[dict[str, Any]], None]
    ) -> None:
        self._model, self._times, self._show = model, times, show
        self.scene = Scene(model.grids.fit.frame_size)
        """The lines and zones that were last drawn and can be used."""
        self._wrong: SettingsError | None = None

    def set(self, scene: Scene) -> None:
        """Take a scene and show it.

        Raises
        ------
        SettingsError
            When it was drawn in frames of another size.
        """
        scene.check_size(self.scene.frame_size)
        self.scene, self._wrong = scene, None
        self._show({kind: named for kind, named in scene.to_dict().items() if kind != "frame_size"})

    def drawn(self, data: Mapping[str, Any]) -> None:
        """Take the lines and zones that the browser shows.

        Raises
        ------
        SettingsError
            When they cannot be used; ``scene`` stays as it was.
        """
        self._wrong = None
        try:
            self.scene = Scene.from_dict({**data, "frame_size": self.scene.frame_size})
        except SettingsError as error:
            self._wrong = error
            raise

    def _check(self) -> None:
        if self._wrong is not None:
            raise self._wrong

    def load(self, settings_file: Path) -> Path | None:
        """Take the scene that lies beside a file of settings; return its path, None where there is none.

        Raises
        ------
        SettingsError
            When it cannot be read, or was drawn in frames of another size.
        """
        path = settings_file.with_name(FILE)
        if not path.is_file():
            return None
        self.set(Scene.from_yaml(path))
        return path

    def save(self, settings_file: Path) -> Path | None:
        """Write the scene beside a file of settings; return its path, None where there is nothing new to write.

        Raises
        ------
        SettingsError
            When what is drawn cannot be used, or what is in the file could not be loaded here, so that it is
            another camera's or no scene.
        """
        self._check()
        path = settings_file.with_name(FILE)
        there = Scene(self.scene.frame_size)
        if path.is_file():
            there = Scene.from_yaml(path)
            there.check_size(self.scene.frame_size)
        return None if there == self.scene else self.scene.to_yaml(path)

    def count(self) -> Counts:
        """Follow people through the clip under the settings of the moment; count who crosses and who stays.

        Raises
        ------
        SettingsError
            When what is drawn cannot be used.
        InstallationError
            Without the library `trackers` (extra ``track``).
        """
        self._check()
        return count(track_boxes(self._model.detections(), self._times), self.scene)

    def send_counts(self, send: Callable[[dict[str, Any]], None]) -> None:
        """Count, and send the browser what to write at each line and zone: in any case, since it waits."""
        texts: dict[str, str] = {}
        try:
            texts = in_words(self.count())
        finally:
            send({"type": "counted", "texts": texts})


def times_of(names: Sequence[int], between: Between | None, fps: float) -> Sequence[float]:
    """Return when the frames of a clip are shown, in seconds.

    Parameters
    ----------
    names : sequence of int
        Their indices in the source.
    between : Between, optional
        Of a clip on key frames, which has its times.
    fps : float
        How many of the clip's frames a second has, where it has no times.
    """
    if between is not None:
        return between.times
    step = int(np.diff(names).min(initial=max(names) + 1))
    return [(name - names[0]) / step / fps for name in names]


def in_words(counts: Counts) -> dict[str, str]:
    """Return what was counted at each line and in each zone, by name."""
    texts = {row["line"]: f"{row['in']} in, {row['out']} out" for row in counts.lines().to_dict("records")}
    for row in counts.zones().to_dict("records"):
        stays = f", {row['mean seconds']:.1f} s on average" if row["visits"] else ""
        texts[row["zone"]] = f"visits {row['visits']}{stays}, most at once {row['most at once']}"
    return texts
