"""The presets' letters under a slider, where their values are."""

from __future__ import annotations

import html
from collections.abc import Mapping

LETTERS = {"default": "D", "deepstream": "S", "triton": "N", "tao": "T", "jetson-inference": "J"}
LEGEND = "Marks: " + ", ".join(f"<b>{letter}</b> {name}" for name, letter in LETTERS.items())
_LETTER = 8.0
"""Width of a letter in per cent of a narrow slider's track."""


def marks_under(values: Mapping[str, float], top: float) -> str:
    """Return a tick for each value of a preset, and letters that never overlap: near ones stand together.

    Parameters
    ----------
    values : mapping
        Preset to its value.
    top : float
        The slider's upper end.

    Returns
    -------
    str
        HTML; empty when all presets agree.
    """
    positions = {name: 100 * value / top for name, value in sorted(values.items(), key=lambda item: item[1])}
    if len(set(positions.values())) < 2:
        return ""
    groups: list[list[str]] = []
    for name, position in positions.items():
        if not 0 <= position <= 100:
            continue
        groups.append([name])
        while len(groups) > 1 and _overlap(*(_span(group, positions) for group in groups[-2:])):
            groups[-2:] = [groups[-2] + groups[-1]]
    ticks = "".join(
        f'<i style="left:{position:.2f}%"></i>'
        for position in sorted(set(positions.values()))
        if position <= 100
    )
    letters = "".join(
        f'<span style="left:{sum(_span(group, positions)) / 2:.2f}%" title="{_title(group, values)}">'
        f"{''.join(LETTERS[name] for name in group)}</span>"
        for group in groups
    )
    return f'<div class="pnb-marks" aria-hidden="true">{ticks}{letters}</div>'


def _span(group: list[str], positions: Mapping[str, float]) -> tuple[float, float]:
    """Return where a group's letters begin and end: around the middle of its values."""
    middle, half = (positions[group[0]] + positions[group[-1]]) / 2, _LETTER * len(group) / 2
    return middle - half, middle + half


def _overlap(left: tuple[float, float], right: tuple[float, float]) -> bool:
    return left[1] > right[0]


def _title(group: list[str], values: Mapping[str, float]) -> str:
    return html.escape("; ".join(f"{name}: {values[name]:g}" for name in group))
