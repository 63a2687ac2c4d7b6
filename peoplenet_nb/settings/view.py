"""How settings show themselves in a notebook: the numbers of each class, the clustering, and the YAML behind a fold."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from peoplenet_nb.html_tables import fold, note, table


def settings_html(data: Mapping[str, Any]) -> str:
    """Return settings, given in the layout of their YAML file, as HTML."""
    import yaml

    default, *named = data["classes"].items()
    further = dict.fromkeys(key for numbers in data["classes"].values() for key in list(numbers)[4:])
    rows = [
        {
            "class": label,
            "coverage threshold": numbers["threshold"],
            "least width (px)": numbers["min_width"],
            "least height (px)": numbers["min_height"],
            "least confidence": numbers["min_confidence"],
        }
        | {name: numbers.get(name, default[1].get(name)) for name in further}
        for label, numbers in [*named, ("any other", default[1])]
    ]
    text = html.escape(yaml.safe_dump(dict(data), sort_keys=False))
    head = note(f"Preset: {data['preset']}. {_clustering_text(data)}", "ok")
    return head + table(rows) + fold("as YAML", f"<pre>{text}</pre>")


def _clustering_text(data: Mapping[str, Any]) -> str:
    """Return how candidates become boxes, in a sentence."""
    if data["clustering"] == "nms":
        how = f"NMS at IoU {data['nms']['iou']:g}"
    else:
        numbers = "eps {eps:g} and min_samples {min_samples:g} ({flavour}, score: {score})"
        how = f"{data['clustering']} with {numbers.format(**data['dbscan'])}"
    most = "" if data["top_k"] is None else f"; at most {data['top_k']} boxes of a class"
    fit = "of any shape (fit auto)" if data["fit"] == "auto" else f"preprocessed by {data['fit']}"
    tiles = " The network looks at the frame and 2 x 2 parts of it." if data.get("tiles", 1) != 1 else ""
    return f"Clustering: {how}{most}. Thresholds for frames {fit}.{tiles}"
