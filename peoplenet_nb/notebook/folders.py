"""Where models, results and settings are kept, and whether they outlive a pod's stop."""

from __future__ import annotations

import shutil

from peoplenet_nb.hardware import GB
from peoplenet_nb.html_tables import note, table
from peoplenet_nb.notebook.shown import Html
from peoplenet_nb.paths import VOLUME, cache_dir, home, models_dir, outputs_dir, settings_file
from peoplenet_nb.speed.profile import profile_file


def places() -> Html:
    """Return where models, results and caches go, and whether they outlive a pod's stop."""
    rows = [
        {"what": "models", "where": models_dir()},
        {"what": "results of runs", "where": outputs_dir()},
        {"what": "downloads, engines (can be made again)", "where": cache_dir()},
        {"what": "the settings that were saved last (notebook 04)", "where": settings_file()},
        {"what": "the speed profile of this machine (notebook 06)", "where": profile_file()},
    ]
    there = home()
    nearest = next(place for place in (there, *there.parents) if place.is_dir())
    free = f"{shutil.disk_usage(nearest).free / GB:.1f} GB are free."
    if VOLUME in (there, *there.parents):
        kept = note(f"All of it is on {VOLUME} and survives a pod's stop. {free}", "ok")
    elif VOLUME.is_dir():
        kept = note(
            f"{there} is not on {VOLUME}: a pod's stop clears it. Unset PEOPLENET_HOME to keep everything there."
        )
    else:
        kept = note(f"There is no {VOLUME} here, so everything stays in {there}. {free}", "ok")
    return Html(table(rows), kept)
