"""How settings show themselves in a notebook: the numbers of each class, the clustering, and the YAML behind a fold."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from peoplenet_nb.html_tables import fold, note, table

if TYPE_CHECKING:
    from peoplenet_nb.settings.values import Settings


def settings_html(settings: Settings) -> str:
    """Return settings as HTML."""
    import yaml

    rows = [
        {
            "class": label,
            "coverage threshold": numbers.threshold,
            "least width (px)": numbers.min_width,
            "least height (px)": numbers.min_height,
            "least confidence": numbers.min_confidence,
        }
        for label, numbers in [*settings.classes.items(), ("any other", settings.default)]
    ]
    text = html.escape(yaml.safe_dump(settings.to_dict(), sort_keys=False))
    head = note(f"Preset: {settings.preset}. {clustering_text(settings)}", "ok")
    return head + table(rows) + fold("as YAML", f"<pre>{text}</pre>")


def clustering_text(settings: Settings) -> str:
    """Return how candidates become boxes, in a sentence."""
    if settings.clustering == "nms":
        how = f"NMS at IoU {settings.nms_iou:g}"
    else:
        how = (
            f"{settings.clustering} with eps {settings.eps:g} and min_samples {settings.min_samples:g} "
            f"({settings.flavour}, score: {settings.score})"
        )
    most = "" if settings.top_k is None else f"; at most {settings.top_k} boxes of a class"
    return f"Clustering: {how}{most}. Thresholds for frames preprocessed by {settings.fit}."
