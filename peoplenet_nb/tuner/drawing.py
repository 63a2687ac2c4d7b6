"""Lines and zones drawn on the tuner's canvas: what was drawn, its file, and who crosses and stays.

The browser sends what the hand drew; whether it can be used `peoplenet_nb.tracks.Scene` says. What cannot be used is
shown where it was drawn, so that it can be put right, and is never written: ``scene`` is the last that could.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.tracks import Counts, Scene, count, track_boxes
from peoplenet_nb.tuner.model import TunerModel
from peoplenet_nb.video.faint import fainter

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
        self._files: dict[Path, Scene] = {}  # what was in them when they were last read or written here
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
        self._files[path] = self.scene
        return path

    def save(self, settings_file: Path) -> Path | None:
        """Write the scene beside a file of settings; return its path, None where there is nothing new to write.

        Raises
        ------
        SettingsError
            When what is drawn cannot be used, or the file holds another scene than the one that was read or written
            here: another camera's, or what another panel saved since.
        """
        self._check()
        path, none = settings_file.with_name(FILE), Scene(self.scene.frame_size)
        there = Scene.from_yaml(path) if path.is_file() else none
        there.check_size(none.frame_size)
        known = self._files.get(path, none)
        if there == self.scene or (there != known and self.scene == known):
            return None  # nothing was drawn here
        if there not in (none, known):
            what, fix = "Other lines and zones were saved there", "press Load to see them, or save elsewhere."
            raise SettingsError(what, seen=path, next_step=fix)
        self.scene.to_yaml(path)
        self._files[path] = self.scene
        return path

    def count(self) -> Counts:
        """Follow people through the clip under the settings of the moment; count who crosses and who stays.

        As `peoplenet_nb.track` does: boxes fainter than the thresholds carry tracks on.

        Raises
        ------
        SettingsError
            When what is drawn cannot be used.
        InstallationError
            Without the library `trackers` (extra ``track``).
        """
        self._check()
        found = self._model.detections(seen=fainter(self._model.settings, self._model.labels))
        return count(track_boxes(found, self._times), self.scene)

    def send_counts(
        self, send: Callable[[dict[str, Any]], None], data: Mapping[str, Any] | None = None
    ) -> None:
        """Count for what the browser shows, and send it what to write at each line and zone: always, since it waits."""
        texts: dict[str, str] = {}
        try:
            if data is not None:
                self.drawn(data)
            texts = in_words(self.count())
        finally:
            send({"type": "counted", "texts": texts})


def in_words(counts: Counts) -> dict[str, str]:
    """Return what was counted at each line and in each zone, by name."""
    texts = {row["line"]: f"{row['in']} in, {row['out']} out" for row in counts.lines().to_dict("records")}
    for row in counts.zones().to_dict("records"):
        stays = f", {row['mean seconds']:.1f} s on average" if row["visits"] else ""
        texts[row["zone"]] = f"visits {row['visits']}{stays}, most at once {row['most at once']}"
    return texts
