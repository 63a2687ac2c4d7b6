"""What is added to the folder of a finished run later, and goes when the run becomes another one."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

#: What `peoplenet_nb.video.track` and its counts add to a finished run.
TRACKS, TRACKED, COUNTED = "tracks.csv", "tracked.csv", ("crossings.csv", "visits.csv", "presence.csv")
DRAWN = "tracked.mp4"
#: What `peoplenet_nb.redact` adds, besides contact sheets.
REDACTED, REDACTED_TABLE, REDACTED_TEXT = "redacted.mp4", "redacted.csv", "redacted.txt"
DOUBTFUL, SHEETS = "doubtful.csv", "doubtful-[0-9][0-9].png"


def drop_added(folder: Path) -> None:
    """Remove all that was told from a run that is another one now; what was written by hand stays."""
    drop_tracks(folder)
    names = (REDACTED, REDACTED_TABLE, REDACTED_TEXT, DOUBTFUL)
    if all((folder / name).is_file() for name in names):
        for path in (*(folder / name for name in names), *folder.glob(SHEETS)):
            path.unlink()


def drop_tracks(folder: Path, names: Collection[str] = (TRACKS, TRACKED, *COUNTED, DRAWN)) -> list[str]:
    """Remove what was told from a run, or from its tracks, that is another one now; return the names that went."""
    if not all(
        (folder / name).is_file() for name in (TRACKS, TRACKED)
    ):  # one of them alone is somebody's own
        return []
    gone = [name for name in names if (folder / name).exists()]
    for name in gone:
        (folder / name).unlink()
    return gone
