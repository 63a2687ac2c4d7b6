"""Settings by name, each after its source; and this project's own default, which was measured.

A preset copies the *numbers* of its source, and `peoplenet_nb.decoding` runs them all through one code path. Where a
source's code slips (its own distance, its own order of scores), the preset follows what it meant; the comments say
where that differs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from peoplenet_nb.errors import choose, refuse_unknown
from peoplenet_nb.fit import FitMode
from peoplenet_nb.paths import settings_file
from peoplenet_nb.settings.of_class import ClassSettings
from peoplenet_nb.settings.values import Clustering, Flavour, Score, Settings

# NMS 0.5, because its settings carry over to DeepStream. The thresholds for people are NVIDIA's 0.4 and what is as good
# for letterboxed frames, which is higher: within 0.01 of the best F1 on vtest.avi and its crops
# (`python benchmarks/default_settings.py`). Faces and bags are much weaker than people (model card): they want their
# own, lower threshold.
_WEAKER = {"bag": ClassSettings(threshold=0.2), "face": ClassSettings(threshold=0.2)}
_DEFAULT = Settings(
    preset="default",
    fit=FitMode.AUTO,
    clustering=Clustering.NMS,
    nms_iou=0.5,
    default=ClassSettings(threshold=0.25),
    classes={"person": ClassSettings(threshold=0.4, letterbox_threshold=0.5), **_WEAKER},
)
# Of whom a picture shows only head and shoulders, coverage is low, and nothing else looks like it: at half size the
# best F1 of photographs lies at 0.1, and no picture without people has 0.05 (`python benchmarks/photographs.py`).
# Faces do not overlap: NMS 0.4 takes the doubles off large ones and costs no face.
_NEAR = _DEFAULT.replace(fit=FitMode.NEAR).with_class("person", threshold=0.1).with_class("face", nms_iou=0.4)
# `deepstream_tao_apps` `config_infer_primary_peoplenet.txt`: cluster-mode 2, topk 20.
_DEEPSTREAM = Settings(
    preset="deepstream",
    clustering=Clustering.NMS,
    nms_iou=0.5,
    flavour=Flavour.DEEPSTREAM,
    top_k=20,
    default=ClassSettings(threshold=0.2),
    classes={"person": ClassSettings(threshold=0.4)},
)
# NVIDIA's numbers for the unpruned PeopleNet, `deepstream-tracker-3d` `config_infer_primary.txt`: cluster-mode 3. Its
# dbscan-min-score is kept, for DBSCAN; it does nothing in that mode (`nvdsinfer_dbscan.cpp`).
_DEEPSTREAM_TUNED = Settings(
    preset="deepstream-tuned",
    clustering=Clustering.HYBRID,
    nms_iou=0.4688,
    eps=0.2538,
    min_samples=3,
    flavour=Flavour.DEEPSTREAM,
    default=ClassSettings(threshold=0.1429, min_width=20, min_height=20, min_sum=0.7726),
)
# NVIDIA's Triton client: DBSCAN 0.3 on 1 - IoU as it was meant, min_samples 0.05, summed scores.
_SUMMED = ClassSettings(threshold=0.005, min_height=4, min_confidence=0.9)
_TRITON = Settings(
    preset="triton",
    clustering=Clustering.DBSCAN,
    eps=0.3,
    min_samples=0.05,
    flavour=Flavour.TAO,
    score=Score.SUM,
    default=_SUMMED,
    classes={"person": _SUMMED, "bag": _SUMMED, "face": replace(_SUMMED, min_confidence=0.7)},
)
# TAO deploy: as the Triton client with min_samples 1 (its 4 px of height are network pixels).
_TAO = _TRITON.replace(preset="tao", min_samples=1.0)
# jetson-inference's threshold 0.5; it joins overlapping boxes as it meets them, here NMS 0.5 does.
_JETSON = Settings(
    preset="jetson-inference", clustering=Clustering.NMS, nms_iou=0.5, default=ClassSettings(threshold=0.5)
)

_PRESETS = {
    settings.preset: settings
    for settings in (_DEFAULT, _DEEPSTREAM, _DEEPSTREAM_TUNED, _TRITON, _TAO, _JETSON)
}
PRESETS: tuple[str, ...] = tuple(_PRESETS)


def preset(name: str = "default", fit: str | FitMode = FitMode.AUTO) -> Settings:
    """Return the settings of a preset.

    Parameters
    ----------
    name : str
        One of `PRESETS`.
    fit : str or FitMode
        The preprocessing in use. Only the default has thresholds of its own for each (``near`` is for people near
        the camera); the others were published for ``stretch``.

    Raises
    ------
    SettingsError
        For an unknown name.

    Examples
    --------
    >>> preset("deepstream").for_class("person").threshold
    0.4
    """
    name = str(name).lower()
    refuse_unknown([name], PRESETS, "preset", "choose one of")
    mode = choose(FitMode, fit, "fit")
    return _NEAR if (name, mode) == ("default", FitMode.NEAR) else _PRESETS[name].replace(fit=mode)


def load_settings(name: str | Path = "", fit: str | FitMode = FitMode.AUTO) -> Settings:
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
