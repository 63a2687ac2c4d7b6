"""What a run over a live stream keeps besides: when it began, what was missed and when, and how old boxes were.

Latencies are counted in bins of 5 %, which takes as much room for a week as for a minute.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peoplenet_nb.files import atomic
from peoplenet_nb.sources.feed import Feed
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.video.manifest import Live, Manifest, Part

if TYPE_CHECKING:
    from peoplenet_nb.video.runfolder import RunFolder

GAPS = "gaps.csv"
_BINS = 48  # per factor of ten
_COLUMNS = ("begins_s", "ends_s", "seconds", "begins", "reason")


def count_latency(part: Part, feed: Feed, time_s: float, found_s: float) -> None:
    """Count the time from a frame's arrival to its boxes."""
    seconds = feed.clock(found_s) - time_s
    number = str(max(0, round(_BINS * math.log10(max(1.0, 1e3 * seconds)))))
    part.latency[number] = part.latency.get(number, 0) + 1


def percentile_ms(counts: Mapping[str, int], share: float) -> float | None:
    """Return the latency in ms that so large a share of frames does not exceed; None where none was counted."""
    left = share * sum(counts.values())
    for number in sorted(map(int, counts)):
        left -= counts[str(number)]
        if left <= 0:
            return float(round(10 ** (number / _BINS), 1))
    return None


def latency_ms(parts: Iterable[Part]) -> dict[str, float | None]:
    """Return p50 and p95 over parts."""
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.latency)
    return {"p50": percentile_ms(counts, 0.5), "p95": percentile_ms(counts, 0.95)}


def read_on(source: Source, manifest: Manifest) -> Source:
    """Return the rest of the source of a run that has parts already."""
    last, live = manifest.parts[-1], manifest.live
    rest = source.after(last.last, manifest.frames)
    if live is None:
        return rest
    live.dropped_before, live.gaps_before = live.dropped, live.gaps
    return rest.since(datetime.fromisoformat(live.began), manifest.origin_s + last.ends_s)


def update(manifest: Manifest, feed: Feed) -> None:
    """Take over what a reading has counted until now."""
    live = manifest.live = manifest.live or Live(feed.began.isoformat())
    live.arrived, live.dropped = feed.arrived, live.dropped_before + feed.dropped
    live.gaps = [*live.gaps_before, *feed.gaps]


def remove_older(run: RunFolder, now_s: float, keep_s: float) -> None:
    """Remove the parts that ended before what is kept; ``now_s`` is on the clock of the frames."""
    manifest = run.manifest
    horizon, gone = now_s - manifest.origin_s - keep_s, []
    while len(manifest.parts) > 1 and manifest.parts[1].begins_s < horizon:
        gone.append(manifest.parts.pop(0))
    if gone and manifest.live is not None:
        manifest.live.removed += len(gone)
        run.save()  # before the files go: a manifest names only what is there
        for name in (name for part in gone for name in part.files):
            with suppress(FileNotFoundError):
                (run.parts / name).unlink()


def write_gaps(live: Live, path: Path) -> Path:
    """Write the table of gaps: seconds of the tables' clock, length, wall-clock time in UTC, and why."""
    began = datetime.fromisoformat(live.began)
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(_COLUMNS)
        for gap in live.gaps:
            at = (began + timedelta(seconds=gap.begins_s)).isoformat(timespec="milliseconds")
            seconds = (gap.begins_s, gap.ends_s, gap.ends_s - gap.begins_s)
            lines.writerow((*(f"{one:.4f}" for one in seconds), at, " ".join(gap.reason.split())))
    return path


def summary_of(live: Live, parts: Iterable[Part]) -> dict[str, Any]:
    """Return what stands in the summary."""
    return {
        "began": live.began,
        "arrived": live.arrived,
        "dropped": live.dropped,
        "latency_ms": latency_ms(parts),
        "gaps": len(live.gaps),
        "gap_s": round(sum(gap.ends_s - gap.begins_s for gap in live.gaps), 3),
    }


def in_words(summary: Mapping[str, Any]) -> str:
    """Return the same as a line."""
    latency, gaps = summary["latency_ms"], summary["gaps"]
    lost = f"{gaps} gap{'s' * (gaps != 1)}, {summary['gap_s']:.1f} s in all ({GAPS})" if gaps else "no gap"
    return (
        f"live since {summary['began'][:19]} UTC: {summary['arrived']} frames came, {summary['dropped']} were dropped; "
        f"from arrival to boxes p50 {latency['p50']} ms, p95 {latency['p95']} ms; {lost}"
    )
