"""Settings by whatever a person names them: a preset, a file, or nothing for those that were saved last."""

from __future__ import annotations

from pathlib import Path

from peoplenet_nb.errors import refuse_unknown
from peoplenet_nb.fit import FitMode
from peoplenet_nb.paths import settings_file
from peoplenet_nb.settings.presets import PRESETS, preset
from peoplenet_nb.settings.values import Settings


def load_settings(name: str | Path = "", fit: str | FitMode = FitMode.STRETCH) -> Settings:
    """Return settings by name, from a file, or those that were saved last.

    Parameters
    ----------
    name : str or Path
        A preset or a YAML file. Empty: what was saved to `peoplenet_nb.paths.settings_file`, as the tuner's *Save*
        does; where nothing was, the preset ``default``.
    fit : str or FitMode
        For presets: the preprocessing in use. A file says which one it is for.

    Raises
    ------
    SettingsError
        For a name that is neither a preset nor a file, and for a file that cannot be used.
    """
    text = str(name).strip()
    if not text:
        saved = settings_file()
        return Settings.from_yaml(saved) if saved.is_file() else preset("default", fit)
    path = Path(text).expanduser()
    if text.lower() in PRESETS:
        return preset(text, fit)
    if not path.suffix and not path.exists():
        refuse_unknown([text], PRESETS, "preset", "name a YAML file, or choose one of")
    return Settings.from_yaml(path)
