"""The end of a run: parts become one video and one table each, and a summary describes what was done.

Tables and video are joined by copying, a block at a time, so that a video of hours needs no more memory than one of
seconds.
"""

from __future__ import annotations

import csv
import io
import json
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from peoplenet_nb.cells import CELLS, join_cells
from peoplenet_nb.errors import OutputError
from peoplenet_nb.files import atomic, write_text, writing
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.sources.repair import some
from peoplenet_nb.video.livelog import GAPS, summary_of, write_gaps
from peoplenet_nb.video.manifest import STAGES, Manifest
from peoplenet_nb.video.mp4 import VideoCheck, check_video, join_videos
from peoplenet_nb.video.parts import COLUMNS
from peoplenet_nb.video.pipeline import Pipeline
from peoplenet_nb.video.result import RunResult, result_of
from peoplenet_nb.video.runfolder import RunFolder
from peoplenet_nb.video.writer import padding_note

_ENGINES = ("onnxruntime", "onnxruntime-gpu", "MNN", "openvino")
_PACKAGES = ("peoplenet-nb", "av", "numpy", "opencv-python", "opencv-python-headless", *_ENGINES)


def describe_run(source: Source, pipeline: Pipeline, settings: Settings, notes: list[str]) -> dict[str, Any]:
    """Return what a summary holds of source, model and settings."""
    info, model = source.info, pipeline.model
    return {
        "source": {
            key: getattr(info, key)
            for key in ("name", "spec", "kind", "width", "height", "fps", "frame_count", "rotation")
        }
        | {"spec": _lasting(info.spec)},
        "sampling": {key: getattr(source, key) for key in ("every", "frames", "start")},
        "model": {
            "file": model.file.path.name,
            "sha256": model.file.sha256,
            "standin": model.is_standin,
            "device": model.device,
            "providers": list(model.providers),
            "precision": str(model.precision),
            "fit": str(model.fit),
            "workers": pipeline.workers,
            "batch": pipeline.batch,
            "threads_per_worker": model.backend.threads,
        },
        "keyframes": str(pipeline.keyframes),
        "settings": settings.to_dict(),
        "notes": notes,
    }


def _lasting(spec: str) -> str:
    """Return what was asked for such that a file is found from another folder too."""
    return spec if "://" in spec or not Path(spec).exists() else str(Path(spec).absolute())


def finish_run(
    run: RunFolder, labels: tuple[str, ...], summary: dict[str, Any], *, complete: bool
) -> RunResult:
    """Join the finished parts, check the video, write the summary and return the result.

    Counts, speed and files are added to what the summary holds of source, model and settings. Where the run is
    ``complete``, read to the source's end, the parts are removed once all is joined.

    Raises
    ------
    OutputError
        When something cannot be written, or the video does not read back as one that a browser plays.
    """
    manifest, folder = run.manifest, run.path
    with writing(folder):
        heads = {"detections": COLUMNS, "frames": ("source", "frame", "time_s", *labels, "origin")}
        for table, columns in heads.items():
            _join_tables(run.files(f"{table}.csv"), columns, folder / f"{table}.csv")
        parquet = _write_parquet(folder / "detections.csv")
        join_cells(run.files(CELLS), folder / CELLS)
        gaps = write_gaps(manifest.live, folder / GAPS) if manifest.live else None
    video, check = _join_video(run)
    files = {"video": video, "detections": folder / "detections.csv", "frames": folder / "frames.csv"}
    files |= {"parquet": parquet, "images": folder / "images", "grids": folder / CELLS, "gaps": gaps}
    about_video = None
    if check is not None:
        begins = manifest.origin_s + manifest.parts[0].begins_s
        about_video = asdict(check) | {"starts_at_s": begins, "encoder": manifest.encoder}
    whole = {
        "complete": complete,
        **summary,
        **_totals(manifest, labels),
        **({"live": summary_of(manifest.live, manifest.parts)} if manifest.live else {}),
        "video": about_video,
        "files": {name: path.name for name, path in files.items() if path is not None and path.exists()},
        "versions": versions(),
    }
    whole["notes"] = [*summary.get("notes", []), *_video_notes(manifest)]
    text = json.dumps(whole, indent=2, default=str, ensure_ascii=False)
    with writing(folder):
        write_text(folder / "summary.json", text + "\n", durable=True)
        manifest.state = "complete" if complete else "interrupted"
        run.save()
        if complete:
            run.drop_parts()
    return result_of(folder, json.loads(text))  # what is in memory is what is in the file


def _join_tables(parts: Sequence[Path], columns: Sequence[str], out: Path) -> None:
    with atomic(out) as partial, partial.open("wb") as whole:
        head = io.StringIO()
        csv.writer(head, lineterminator="\n").writerow(columns)
        whole.write(head.getvalue().encode())
        for path in parts:
            with path.open("rb") as stream:
                shutil.copyfileobj(stream, whole)


def _write_parquet(table: Path) -> Path:
    """Write the table as Parquet too, a block of lines at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv as pa_csv

    text, cell = pa.string(), pa.int32()
    kinds = [text, pa.int64(), pa.float64(), text, *[pa.float32()] * 5, cell, cell, text]
    types = dict(zip(COLUMNS, kinds, strict=True))
    options = pa_csv.ConvertOptions(column_types=types, strings_can_be_null=False)
    out = table.with_suffix(".parquet")
    schema = pa.schema(list(types.items()))
    # Opened here: PyArrow takes no names that are not UTF-8.
    with (
        table.open("rb") as lines,
        atomic(out) as partial,
        partial.open("wb") as stream,
        pq.ParquetWriter(stream, schema) as writer,
    ):
        reader = pa_csv.open_csv(lines, convert_options=options)
        for batch in reader:
            writer.write_batch(batch)
    return out


def _join_video(run: RunFolder) -> tuple[Path | None, VideoCheck | None]:
    parts = run.manifest.parts
    pieces = [(run.parts / f"{part.name}.mp4", part.begins_s - parts[0].begins_s) for part in parts]
    if run.manifest.video_size is None or not pieces:
        return None, None
    video = join_videos(pieces, run.path / "video.mp4")
    check = check_video(video, run.manifest.frames)
    if check.problems:
        raise OutputError(
            "The video does not read back as it should",
            seen=f"{video}: {'; '.join(check.problems)}",
            next_step="check the free space on the disk and run again with --overwrite.",
        )
    return video, check


def _video_notes(manifest: Manifest) -> list[str]:
    if manifest.video_size is None:
        return []
    notes = [padding_note(manifest.video_size)]
    if rescaled := sum(part.rescaled for part in manifest.parts):
        notes.append(f"{some(rescaled, 'frame')} of another size were scaled to fit the video.")
    return [note for note in notes if note]


def _totals(manifest: Manifest, labels: tuple[str, ...]) -> dict[str, Any]:
    parts = manifest.parts
    frames, wall = manifest.frames, sum(part.wall_s for part in parts)
    stages = {stage: 1e3 * sum(part.seconds.get(stage, 0.0) for part in parts) / frames for stage in STAGES}
    return {
        "frames": frames,
        "frames_inferred": frames - sum(part.interpolated or 0 for part in parts),
        "first_frame": parts[0].first,
        "last_frame": parts[-1].last,
        "counts": {label: sum(part.counts.get(label, 0) for part in parts) for label in labels},
        "frames_with": {label: sum(part.frames_with.get(label, 0) for part in parts) for label in labels},
        "speed": {
            "fps": round(frames / wall, 3) if wall else None,
            "wall_s": round(wall, 3),
            "first_s": round(manifest.first_s, 3),
            "ms_per_frame": {stage: round(value, 3) for stage, value in stages.items()},
        },
    }


@cache  # a short clip would feel it
def versions() -> dict[str, str]:
    """Return the versions of what the results depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
