"""What a batch leaves for people: a table of all videos, a summary, and a page with a picture of each."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from peoplenet_nb.files import read_json, write_text, writing
from peoplenet_nb.fleet.claims import STATE
from peoplenet_nb.fleet.listing import INDEX, SHEET, SUMMARY, VIDEOS
from peoplenet_nb.fleet.request import Request
from peoplenet_nb.network.model import STANDIN_WARNING

_HEAD = ("name", "source", "state", "frames", "seconds", "fps", "tries", "host", "reason")


def rows_of(records: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each video, in order: what became of it, how fast, what was found."""
    labels = list(dict.fromkeys(label for record in records.values() for label in record.get("counts") or ()))
    rows = []
    for name, record in records.items():
        seconds, frames = record.get("seconds"), record.get("frames")
        row: dict[str, Any] = {"name": name, **{key: record.get(key) for key in _HEAD[1:]}}
        row["state"] = record.get("state", "open")
        row["fps"] = round(frames / seconds, 2) if frames and seconds else None
        row |= {label: (record.get("counts") or {}).get(label) for label in labels}
        rows.append(row)
    return rows


def totals(records: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the sums over all videos."""
    states = Counter(record.get("state", "open") for record in records.values())
    counts: Counter[str] = Counter()
    for record in records.values():
        counts.update(record.get("counts") or {})
    done = [record for record in records.values() if record.get("state") == "complete"]
    return {
        "videos": len(records),
        "complete": states["complete"],
        "aside": states["aside"],
        "open": states["open"],
        "frames": sum(record.get("frames", 0) for record in done),
        "video_seconds": round(sum(record.get("duration_s") or 0 for record in done), 2),
        "worker_seconds": round(sum(record.get("seconds", 0) for record in done), 2),
        "counts": dict(counts),
    }


def headline(sums: Mapping[str, Any]) -> str:
    """Return the sums in a line."""
    aside = f", {sums['aside']:,} put aside" if sums["aside"] else ""
    left = f", {sums['open']:,} open" if sums["open"] else ""
    found = ", ".join(f"{number:,} {label}" for label, number in sums["counts"].items()) or "nothing"
    done = f"{sums['complete']:,} of {sums['videos']:,} videos complete{aside}{left}"
    return f"{done}, {sums['frames']:,} frames, found {found}"


def write_results(
    output: Path, records: Mapping[str, dict[str, Any]], request: Request, seconds: float
) -> None:
    """Write ``videos.csv``, ``batch.json`` and ``index.html``; several machines may do so at once.

    The seconds of this start are added to those of the starts before.
    """
    rows = rows_of(records)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]) if rows else list(_HEAD), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    before = read_json(output / SUMMARY).get("wall_seconds")
    seconds += before if isinstance(before, int | float) else 0
    summary = totals(records) | {"wall_seconds": round(seconds, 2)}
    _replace(output / VIDEOS, table.getvalue())
    _replace(output / SUMMARY, json.dumps(summary | {"request": asdict(request)}, indent=1))
    _replace(output / INDEX, _page(output, rows, summary, STANDIN_WARNING if request.standin else ""))


def _replace(path: Path, text: str) -> None:
    partial = path.parent / STATE / f"{path.name}.{uuid.uuid4().hex}"
    write_text(partial, text)
    with writing(path):
        partial.replace(path)


def _page(output: Path, rows: list[dict[str, Any]], summary: Mapping[str, Any], warning: str) -> str:
    """Return the contact sheet: a picture, a name and what was found for each video; those put aside first."""
    cards = [_card(output, row) for row in sorted(rows, key=lambda row: row["state"] != "aside")]
    warned = f'<p class="aside">{escape(warning)}</p>' if warning else ""
    return _PAGE.format(lead=escape(headline(summary)), warning=warned, cards="\n".join(cards))


def _card(output: Path, row: dict[str, Any]) -> str:
    name, state = str(row["name"]), str(row["state"])
    head = f"<b>{escape(name)}</b>"
    if state == "complete":
        shown = output / name / "video.mp4"
        target = f"{name}/video.mp4" if shown.is_file() else f"{name}/"
        head = f'<a href="{escape(quote(target))}">{head}</a>'
        labels = {key: value for key, value in row.items() if key not in _HEAD and value is not None}
        counts = ", ".join(f"{number:,} {label}" for label, number in labels.items())
        text = f"<p>{row['frames']:,} frames, {escape(counts)}</p>"
    elif state == "aside":
        text = f'<p class="aside"><b>Put aside:</b> {escape(str(row["reason"]))}</p>'
    else:
        text = "<p>not done yet</p>"
    picture = output / SHEET / f"{name}.jpg"
    image = '<div class="none">no picture</div>'
    if state == "complete" and picture.is_file():
        image = f'<img loading="lazy" alt="" src="{escape(quote(f"{SHEET}/{name}.jpg"))}">'
    return f"<article>{image}{head}{text}<small>{escape(str(row['source'] or ''))}</small></article>"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Videos</title><style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1500px; padding: 0 1.5rem }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1.2rem;
  align-items: start; margin-top: 1rem }}
article {{ border: 1px solid #8886; border-radius: 8px; padding: .7rem; overflow-wrap: anywhere }}
img, .none {{ width: 100%; aspect-ratio: 16/9; object-fit: contain; background: #8882; border-radius: 4px;
  display: block; margin-bottom: .5rem }}
.none {{ display: grid; place-items: center; opacity: .6 }}
p {{ margin: .25rem 0 }} small {{ opacity: .65 }} .aside {{ border-left: 4px solid #d55e00; padding-left: .5rem }}
</style></head><body><h1>Videos</h1>{warning}<p>{lead}.</p>
<main>
{cards}
</main></body></html>
"""
