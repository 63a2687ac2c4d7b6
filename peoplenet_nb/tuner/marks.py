"""The presets' letters under a slider, where their values are."""

from __future__ import annotations

import html
from collections.abc import Mapping

LETTERS = {
    "default": "D",
    "deepstream": "S",
    "deepstream-tuned": "U",
    "triton": "N",
    "tao": "T",
    "jetson-inference": "J",
}
LEGEND = "Marks: " + ", ".join(f"<b>{letter}</b> {name}" for name, letter in LETTERS.items())
_LETTER = 8.0
"""Width of a letter in per cent of a narrow slider's track."""


def marks_under(values: Mapping[str, float], top: float) -> str:
    """Return HTML for the presets' values under a slider that ends at ``top``; "" when all presets agree.

    Each value has a tick; letters never overlap, near ones stand together.
    """
    positions = {name: 100 * value / top for name, value in sorted(values.items(), key=lambda item: item[1])}
    if len(set(positions.values())) < 2:
        return ""
    shown = {name: position for name, position in positions.items() if 0 <= position <= 100}
    groups: list[list[str]] = []
    for name in shown:
        groups.append([name])
        while len(groups) > 1 and _span(groups[-2], shown)[1] > _span(groups[-1], shown)[0]:
            groups[-2:] = [groups[-2] + groups[-1]]
    marks = [f'<i style="left:{position:.2f}%"></i>' for position in dict.fromkeys(shown.values())]
    for group in groups:
        title = html.escape("; ".join(f"{name}: {values[name]:g}" for name in group))
        letters = "".join(LETTERS[name] for name in group)
        middle = sum(_span(group, shown)) / 2
        marks.append(f'<span style="left:{middle:.2f}%" title="{title}">{letters}</span>')
    return f'<div class="pnb-marks" aria-hidden="true">{"".join(marks)}</div>'


def _span(group: list[str], positions: Mapping[str, float]) -> tuple[float, float]:
    """Return where a group's letters begin and end: around the middle of its values."""
    middle, half = (positions[group[0]] + positions[group[-1]]) / 2, _LETTER * len(group) / 2
    return middle - half, middle + half
