"""Settings by name, each after its source; and this project's own default, which was measured.

A preset copies the *numbers* of its source, and `peoplenet_nb.decoding` runs them all through one code path. Where a
source's code slips (its own distance, its own order of scores), the preset follows what it meant; the docstrings say
where that differs.
"""

from __future__ import annotations

from collections.abc import Callable

from peoplenet_nb.errors import choose, refuse_unknown
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings.values import ClassSettings, Clustering, Flavour, Score, Settings

# Chosen by `python benchmarks/default_settings.py` on every 4th frame of vtest.avi: see its docstring. Letterboxed, F1
# is flat there from 0.35 to 0.46, and photographs of everyday scenes want the lower end.
_PERSON_THRESHOLD = {FitMode.STRETCH: 0.25, FitMode.LETTERBOX: 0.35}


def _default(fit: FitMode) -> Settings:
    """NMS 0.5, because its settings carry over to DeepStream; thresholds where F1 on vtest.avi peaks."""
    person = _PERSON_THRESHOLD[fit]
    return Settings(
        preset="default",
        fit=fit,
        clustering=Clustering.NMS,
        nms_iou=0.5,
        default=ClassSettings(threshold=0.25),
        classes={
            "person": ClassSettings(threshold=person),
            # Faces and bags are much weaker than people (model card): they want their own, lower threshold.
            "bag": ClassSettings(threshold=0.2),
            "face": ClassSettings(threshold=0.2),
        },
    )


def _deepstream(fit: FitMode) -> Settings:
    """`deepstream_tao_apps` `config_infer_primary_peoplenet.txt`: cluster-mode 2, topk 20."""
    return Settings(
        preset="deepstream",
        fit=fit,
        clustering=Clustering.NMS,
        nms_iou=0.5,
        flavour=Flavour.DEEPSTREAM,
        top_k=20,
        default=ClassSettings(threshold=0.2),
        classes={"person": ClassSettings(threshold=0.4)},
    )


def _summed(preset: str, fit: FitMode, min_samples: float) -> Settings:
    weak = ClassSettings(threshold=0.005, min_height=4, min_confidence=0.9)
    return Settings(
        preset=preset,
        fit=fit,
        clustering=Clustering.DBSCAN,
        eps=0.3,
        min_samples=min_samples,
        flavour=Flavour.TAO,
        score=Score.SUM,
        default=weak,
        classes={
            "person": weak,
            "bag": weak,
            "face": ClassSettings(threshold=0.005, min_height=4, min_confidence=0.7),
        },
    )


def _triton(fit: FitMode) -> Settings:
    """NVIDIA's Triton client: DBSCAN 0.3 on 1 - IoU as it was meant, min_samples 0.05, summed scores."""
    return _summed("triton", fit, 0.05)


def _tao(fit: FitMode) -> Settings:
    """TAO deploy: as the Triton client with min_samples 1 (its 4 px of height are network pixels)."""
    return _summed("tao", fit, 1.0)


def _jetson_inference(fit: FitMode) -> Settings:
    """jetson-inference's threshold 0.5; it joins overlapping boxes as it meets them, here NMS 0.5 does."""
    return Settings(
        preset="jetson-inference",
        fit=fit,
        clustering=Clustering.NMS,
        nms_iou=0.5,
        default=ClassSettings(threshold=0.5),
    )


_PRESETS: dict[str, Callable[[FitMode], Settings]] = {
    "default": _default,
    "deepstream": _deepstream,
    "triton": _triton,
    "tao": _tao,
    "jetson-inference": _jetson_inference,
}

PRESETS: tuple[str, ...] = tuple(_PRESETS)


def preset(name: str = "default", fit: str | FitMode = FitMode.STRETCH) -> Settings:
    """Return the settings of a preset.

    Parameters
    ----------
    name : str
        One of `PRESETS`.
    fit : str or FitMode
        The preprocessing in use. Only the default has thresholds of its own for each; the others were
        published for ``stretch``.

    Raises
    ------
    SettingsError
        For an unknown name.

    Examples
    --------
    >>> preset("deepstream").for_class("person").threshold
    0.4
    """
    refuse_unknown([str(name).lower()], PRESETS, "preset", "choose one of")
    return _PRESETS[str(name).lower()](choose(FitMode, fit, "fit"))
