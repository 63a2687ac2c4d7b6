"""What must hold before a run touches its folder, what its results depend on, and what to know before reading them.

A run's folder is cleared and written to, so no file of the source may lie in it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from peoplenet_nb.cells import CELLS
from peoplenet_nb.decoding import COVERAGE_ONLY
from peoplenet_nb.demo import demo_clip
from peoplenet_nb.errors import OutputError, SettingsError, SourceError
from peoplenet_nb.fit import NARROW, FitMode
from peoplenet_nb.network.devices import Precision
from peoplenet_nb.network.model import STANDIN_WARNING, PeopleNet
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Decoder, Source
from peoplenet_nb.tracks import KeyFrames
from peoplenet_nb.video.runfolder import refuse_results

_APART_BYTES = 256 << 20  # of decoded frames from one key frame to the next


def run_path(output: str | Path, name: str) -> Path:
    """Return the folder of a run.

    Raises
    ------
    OutputError
        When the name is none of a folder, or what it shall lie in cannot be a path.
    """
    if name in (".", "..") or Path(name).name != name:
        raise OutputError(
            "The name of a run is the name of a folder, without / and ..",
            seen=repr(name),
            next_step="name the folder above it with output=.",
        )
    try:
        path = Path(output).expanduser() / name
        path.resolve()
    except (RuntimeError, ValueError) as error:  # the home of nobody; a null character; a link to itself
        step = "choose another --output, or another name."
        raise OutputError(
            "This cannot be a path", seen=f"{output}/{name}: {error}", next_step=step
        ) from error
    except OSError:  # RunFolder says what is wrong
        pass
    return path


def before_loading(
    source: Source,
    path: Path,
    *,
    keyframes: KeyFrames | str | int = "off",
    keep: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> tuple[KeyFrames, list[str]]:
    """Refuse what can be refused before a network is loaded; return what `key_frames_for` says.

    Raises
    ------
    SettingsError, SourceError
        As `check_keep` and `key_frames_for`.
    OutputError
        When the source, or one of its images, lies in the run's folder, or that holds results, and is neither to be
        continued nor begun anew.
    """
    check_keep(source, keep)
    chosen = key_frames_for(source, keyframes)
    _check_apart(source, path)
    if not (resume or overwrite):
        refuse_results(path)
    return chosen


def fitted(model: PeopleNet, settings: Settings, source: Source) -> PeopleNet:
    """Return the model with the fit that a run has: what was asked for, of a video decided by how it is shown.

    A video has one shape, and its pixels may not be square; images are decided one by one.
    """
    model, info = model.for_settings(settings), source.info
    if model.fit is not FitMode.AUTO or info.kind != "video":
        return model
    shape = float(info.width * info.pixel_aspect), info.height
    return model.looking(FitMode.AUTO.of_frame(*shape), model.tiles)


def _check_apart(source: Source, folder: Path) -> None:
    """Refuse a source of which a file lies in the run's folder."""
    # The folder of annotated images may be a link to somewhere else.
    ours = {folder.resolve(), (folder / "images").resolve()}
    for file in source.files:
        # A link lies where it stands, and what it leads to lies elsewhere: neither may be lost.
        target, stands = file.resolve(), file.parent.resolve() / file.name
        if not ours.isdisjoint((*target.parents, *stands.parents)):
            raise OutputError(
                "The results would go into the folder of the source itself, and could replace it",
                seen=f"{file} lies in {folder}",
                next_step="choose another --output, or another name for the run's folder.",
            )


def check_keep(source: Source, keep: float | None) -> None:
    """Refuse to keep only the last seconds of what is not live, or none of them.

    Raises
    ------
    SettingsError
        In both cases.
    """
    if keep is not None and not (source.live and 0 < keep < float("inf")):
        step = "name the seconds of a live stream to keep (keep=86400, --keep 24h), or leave it out."
        raise SettingsError("Only of a live stream the last seconds are kept", seen=keep, next_step=step)


def fingerprint(
    source: Source,
    model: PeopleNet,
    settings: Settings,
    video: bool,
    save_grids: bool,
    keyframes: KeyFrames,
) -> dict[str, Any]:
    """Return everything that the tables and the video depend on."""
    chosen = settings.to_dict()
    chosen.pop("preset")  # a name only
    return {
        "source": source.info.fingerprint,
        "sampling": {"every": source.every, "frames": source.frames, "start": source.start},
        "model": {
            "sha256": model.file.sha256,
            "fit": str(model.fit),
            **({"tiles": model.tiles} if model.tiles != 1 else {}),
            "precision": str(model.precision),
            # Another calibration is another network; the variant with a uint8 input computes the same as its model.
            **({"int8_sha256": model.runs.sha256} if model.precision == Precision.INT8 else {}),
        },
        **({"decoder": str(source.decoder)} if source.decoder is not Decoder.CPU else {}),
        **({} if keyframes.off else {"keyframes": str(keyframes)}),
        "settings": chosen,
        "video": video,
        "save_grids": CELLS if save_grids else False,
    }


def notes_on(source: Source, model: PeopleNet) -> list[str]:
    """Return what a person should know before trusting what this model finds in this source."""
    notes = []
    if model.is_standin and Path(source.info.spec).resolve() != demo_clip().resolve():
        notes.append(STANDIN_WARNING)
    if model.file.boxes is None:
        notes.append(COVERAGE_ONLY)
    notes += [f"The {head.label} head of this model is {head.reason}." for head in model.dead_heads]
    if model.tiles > 1:
        notes.append("The network looks at each frame and at 2 x 2 parts of it: about five times the time.")
    info = source.info
    if model.fit == FitMode.STRETCH and info.width * info.pixel_aspect < NARROW * info.height:
        notes.append(
            f"The frames are narrow ({info.width}x{info.height}) and are stretched to the network's input: "
            "letterbox usually finds more there (--fit letterbox, fit='letterbox')."
        )
    return notes


def key_frames_for(source: Source, asked: KeyFrames | str | int) -> tuple[KeyFrames, list[str]]:
    """Return which frames of a source the network sees, and what a person should know of that.

    Raises
    ------
    SettingsError
        When it is neither ``off`` nor ``auto`` nor a number.
    SourceError
        When frames of this size so far apart do not fit into memory.
    """
    keyframes, info = KeyFrames.parse(asked), source.info
    if source.live:
        what = "The network sees every frame that is taken: key frames would delay a live stream."
        return KeyFrames(), [] if keyframes.off else [what]
    if keyframes.off or info.kind == "video":
        most = max(1, _APART_BYTES // max(1, info.width * info.height * 3 // 2))
        if keyframes.every is not None and keyframes.every > most:
            raise SourceError(  # another source may be small enough
                "All frames between two key frames are held in memory, and these would be too many",
                seen=f"keyframes={keyframes.every} with frames of {info.width}x{info.height}",
                next_step=f"choose {most} at most, or 'auto'.",
            )
        return keyframes, []
    return KeyFrames(), ["The network sees every image: key frames are for videos."]


def run_name(
    source: Source, model: PeopleNet, settings: Settings, keyframes: KeyFrames | str | int = "off"
) -> str:
    """Return a folder's name for a run, another one whenever its results would be others.

    So the same cell can be run again and again, with other settings too: a run that is there is continued or returned
    at once, and none is overwritten.
    """
    chosen, _ = key_frames_for(source, keyframes)
    model = fitted(model, settings, source)
    depends = fingerprint(source, model, settings, video=True, save_grids=True, keyframes=chosen)
    digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:8]
    return f"{source.info.stem}-{digest}"
