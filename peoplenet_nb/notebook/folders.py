"""Where things are and go: folders, models on this machine, and the settings that one notebook hands to the next.

One decision to know: notebook 04 writes the chosen settings to one file, ``settings.yaml`` under the home, and
everything that is not told otherwise begins from it. So a choice survives a restarted kernel and a stopped pod.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from peoplenet_nb.fit import FitMode
from peoplenet_nb.notebook.rich import Fold, Rich, Sentence, Stack, Table
from peoplenet_nb.paths import VOLUME, cache_dir, home, models_dir, outputs_dir, settings_file
from peoplenet_nb.settings import PRESETS, Settings, preset
from peoplenet_nb.speed.profile import profile_file

_GB = 1024**3


def places() -> Stack:
    """Return where models, results and caches go, and whether they outlive a pod's stop."""
    rows = [
        {"what": "models", "folder": str(models_dir())},
        {"what": "results of runs", "folder": str(outputs_dir())},
        {"what": "downloads, engines (can be made again)", "folder": str(cache_dir())},
        {"what": "the settings that notebook 04 chooses", "folder": str(settings_file())},
        {"what": "the fastest way here, that notebook 06 chooses", "folder": str(profile_file())},
    ]
    there = home()
    nearest = next(place for place in (there, *there.parents) if place.is_dir())
    free = shutil.disk_usage(nearest).free / _GB
    if VOLUME in (there, *there.parents):
        kept = Sentence(f"All of it is on {VOLUME} and survives a pod's stop. {free:.1f} GB are free.", "ok")
    elif VOLUME.is_dir():
        kept = Sentence(
            f"{there} is not on {VOLUME}: a pod's stop clears it. Unset PEOPLENET_HOME to keep everything there."
        )
    else:
        kept = Sentence(
            f"There is no {VOLUME} here, so everything stays in {there}. {free:.1f} GB are free.", "ok"
        )
    return Stack(Table(rows), kept)


def models_here() -> Rich:
    """Return the PeopleNet models that are on this machine already, with size and proof."""
    from peoplenet_nb.ngc import ModelRecord, find_model
    from peoplenet_nb.onnxfile import read_model_file

    path = find_model()
    if path is None:
        return Sentence("There is no PeopleNet on this machine yet.")
    file = read_model_file(path)
    record = ModelRecord.load(path.parent)
    told = "by hand or another program; its structure is right" if record is None else f"by {record.verified}"
    return Table(
        [
            {
                "file": str(path),
                "bytes": file.size,
                "sha256": file.sha256,
                "verified": told,
                "classes": ", ".join(file.labels),
            }
        ]
    )


class ChosenSettings(Rich):
    """Settings, and where they came from or went to.

    Attributes
    ----------
    settings : Settings
        The settings.
    origin : str
        Where from, in words.
    path : Path or None
        The file, where there is one.
    """

    def __init__(self, settings: Settings, origin: str, path: Path | None = None) -> None:
        self.settings, self.origin, self.path = settings, origin, path

    def to_html(self) -> str:
        """Return a table of the per-class numbers, the clustering, and the YAML behind a fold."""
        import yaml

        s = self.settings
        rows = [
            {
                "class": label,
                "coverage threshold": s.for_class(label).threshold,
                "least width (px)": s.for_class(label).min_width,
                "least height (px)": s.for_class(label).min_height,
                "least confidence": s.for_class(label).min_confidence,
            }
            for label in s.classes
        ]
        rows.append(
            {
                "class": "any other",
                "coverage threshold": s.default.threshold,
                "least width (px)": s.default.min_width,
                "least height (px)": s.default.min_height,
                "least confidence": s.default.min_confidence,
            }
        )
        text = yaml.safe_dump(s.to_dict(), sort_keys=False)
        return Stack(
            Sentence(f"{self.origin}. {cluster_words(s)}", "ok"), Table(rows), Fold("as YAML", text)
        ).to_html()

    def to_text(self) -> str:
        """Return where the settings came from."""
        return f"{self.origin}: {self.settings}"


def cluster_words(settings: Settings) -> str:
    """Return how candidates become boxes, in a sentence."""
    if settings.clustering == "nms":
        how = f"NMS at IoU {settings.nms_iou:g}"
    else:
        how = (
            f"{settings.clustering} with eps {settings.eps:g} and least mass {settings.min_samples:g} "
            f"({settings.flavour}, score: {settings.score})"
        )
    return f"Clustering: {how}. For frames brought in by {settings.fit}."


def choose_settings(name: str | Path = "", fit: str | FitMode = FitMode.STRETCH) -> ChosenSettings:
    """Return settings by name, from a file, or those that were chosen last.

    Parameters
    ----------
    name : str or Path
        A preset, or a YAML file. Empty: what notebook 04 saved, else the preset ``default``.
    fit : str or FitMode
        For presets: the preprocessing in use.

    Raises
    ------
    SettingsError
        For a name that is neither, and for a file that cannot be used.
    """
    if not str(name).strip():
        path = settings_file()
        if not path.is_file():
            return ChosenSettings(preset("default", fit), "Nothing was saved yet: the preset 'default'")
        return ChosenSettings(Settings.from_yaml(path), f"What was chosen last, from {path}", path)
    if str(name).lower() in PRESETS:
        return ChosenSettings(preset(str(name), fit), f"The preset '{name}'")
    path = Path(name).expanduser()
    return ChosenSettings(Settings.from_yaml(path), f"From {path}", path)


def keep_settings(settings: Settings, path: str | Path | None = None) -> ChosenSettings:
    """Save settings where the next notebook finds them.

    Parameters
    ----------
    settings : Settings
        What to keep.
    path : str or Path, optional
        Another file than `settings_file`.
    """
    written = settings.to_yaml(settings_file() if path is None else Path(path).expanduser())
    return ChosenSettings(settings, f"Saved to {written}", written)
