"""Find a model that is already on this machine.

One decision to know: what a person named (``PEOPLENET_MODEL``) must exist or it is an error; only where
nothing was named does the search go on, and only then may the caller fall back to the stand-in.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from peoplenet_nb import paths
from peoplenet_nb.errors import ModelError
from peoplenet_nb.ngc.archive import unpack
from peoplenet_nb.ngc.errors import MODEL
from peoplenet_nb.ngc.listing import DEFAULT_VERSION, VERSIONS
from peoplenet_nb.ngc.record import ModelRecord

log: logging.Logger = logging.getLogger(__name__)

# Names that NGC gives, the default's first; a folder may hold models derived from them as well.
_ORIGINALS = tuple(dict.fromkeys(known.model for known in VERSIONS.values()))


def find_model(name: str | Path | None = None) -> Path | None:
    """Return the model file that a name, or nothing at all, stands for.

    Parameters
    ----------
    name : str or Path, optional
        A file, a folder with a model in it, or a version of NGC. Without it: ``PEOPLENET_MODEL``, then the
        default version and then any other version in ``models_dir()``, in ``/workspace`` (where the NGC CLI
        of the tutorial puts it) and in ``$PEOPLENET_SHARED/models``, then what was put into ``models_dir()``
        by hand: an ``.onnx`` file, or the ZIP archive of NGC's page, which is unpacked.

    Returns
    -------
    Path or None
        The ``.onnx`` file; None when there is none.

    Raises
    ------
    ModelError
        ``PEOPLENET_MODEL`` names nothing, a folder holds several models and none of NGC's names, or one may
        not be read.
    """
    if name is None or not str(name):
        named = os.environ.get("PEOPLENET_MODEL", "").strip()
        if not named:
            return _first_in(_folders()) or model_in(paths.models_dir()) or _unpacked()
        if (found := find_model(named)) is None:
            fix = "Correct it or unset it; it may be an .onnx file, its folder or an NGC version."
            raise ModelError("PEOPLENET_MODEL names no model", seen=named, next_step=fix)
        return found
    try:
        path = Path(name).expanduser()
    except RuntimeError:  # the ~ of a user who is not known here
        return None
    mode = _mode(path)
    if stat.S_ISREG(mode):
        return path
    if stat.S_ISDIR(mode):
        return model_in(path)
    version = str(name).removeprefix(f"{MODEL}:").removeprefix("peoplenet_v")
    if "/" in version:
        return None
    places = (root / f"peoplenet_v{version}" for root in _roots())
    return _first_in(places) or _bare(version) or _unpacked(version)


def _first_in(folders: Iterable[Path]) -> Path | None:
    return next((model for folder in folders if (model := model_in(folder))), None)


def model_in(folder: Path) -> Path | None:
    """Return the model of a folder: the recorded one, else one with NGC's name, else the only one."""
    models = [path for path in _listing(folder) if path.suffix == ".onnx"]
    if not models:
        return None
    record = ModelRecord.load(folder)
    named = [*([record.path] if record else []), *(folder / original for original in _ORIGINALS)]
    model = next((path for path in named if path in models), None)
    if model is None and len(models) > 1:
        seen = f"{folder}: {', '.join(path.name for path in models)}"
        fix = "Name one of the files, or set PEOPLENET_MODEL to it."
        raise ModelError("The folder holds several models", seen=seen, next_step=fix)
    return model or models[0]


def structure_fault(model: Path) -> str:
    """Return what is wrong with a model file, "" if it is a DetectNet_v2 ONNX."""
    from peoplenet_nb.onnxfile import read_model_file

    try:
        read_model_file(model)
    except ModelError as error:
        return f"{error.what} ({error.seen})"
    return ""


def _bare(version: str) -> Path | None:
    """Return the file of a version in ``models_dir()`` itself, where its name and size tell which it is."""
    known = VERSIONS.get(version)
    if known is None:
        return None
    path = paths.models_dir() / known.model
    fits = stat.S_ISREG(_mode(path)) and path.stat().st_size == known.files[known.model]
    return path if fits else None


def _unpacked(version: str | None = None) -> Path | None:
    """Unpack an archive that was put into ``models_dir()``, and return the model in it."""
    for zipped in _listing(paths.models_dir()):
        if zipped.suffix.lower() == ".zip":
            holds = _version_in(zipped)
            if version in (None, holds) and (model := _unpack(zipped, holds)):
                return model
    return None


def _version_in(zipped: Path) -> str:
    """Return the version that an archive's name tells, or the size of the model in it; else its name."""
    try:
        with zipfile.ZipFile(zipped) as archive:
            sizes = {Path(member.filename).name: member.file_size for member in archive.infolist()}
    except (OSError, zipfile.BadZipFile, ValueError):
        sizes = {}
    for version, known in VERSIONS.items():
        if version in zipped.stem or sizes.get(known.model, -1) == known.files[known.model]:
            return version
    return re.sub(r"[^\w.-]", "-", zipped.stem.removeprefix("peoplenet_").removeprefix("v"))


def _unpack(zipped: Path, version: str) -> Path | None:
    """Unpack an archive beside itself under a temporary name, and move its model's folder into place."""
    target = zipped.with_name(f"peoplenet_v{version}")
    try:
        with tempfile.TemporaryDirectory(dir=zipped.parent, prefix=".unpack-") as temporary:
            fault = unpack(zipped, Path(temporary) / "tree")
            models = sorted(Path(temporary).rglob("[!.]*.onnx"))  # a Mac adds "._name" to each file
            model = model_in(models[0].parent) if models else None
            fault = fault or (structure_fault(model) if model else "it holds no .onnx file")
            if model is not None and not fault:
                with suppress(OSError):
                    target.rmdir()  # made for the files that were to come, and empty
                model.parent.chmod(0o755)
                model.parent.rename(target)
                log.info("%s was unpacked into %s", zipped, target)
                return target / model.name
    except (OSError, ModelError) as error:  # a full disk, another process was quicker, several models
        fault = str(error)
    log.warning("%s is not used: %s", zipped, fault)
    return model_in(target)


def _roots() -> list[Path]:
    shared = os.environ.get("PEOPLENET_SHARED", "").strip()
    return [paths.models_dir(), paths.VOLUME, *([Path(shared) / "models"] if shared else [])]


def _folders() -> Iterator[Path]:
    for root in _roots():
        yield root / f"peoplenet_v{DEFAULT_VERSION}"
    for root in _roots():
        # What a download moved aside is not picked up again.
        found = [p for p in _listing(root) if p.name.startswith("peoplenet_v") and ".replaced-" not in p.name]
        yield from reversed(found)


def _mode(path: Path) -> int:
    """Return what kind of thing a path is, as ``st_mode``; 0 when nothing is there."""
    try:
        return path.stat().st_mode
    except PermissionError as error:
        raise _forbidden(error) from error
    except (OSError, ValueError):  # not there, or no path at all
        return 0


def _listing(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted; nothing where there is none.

    `Path.glob` and, from Python 3.14 on, `Path.is_dir` keep silent about a folder that may not be read: a model
    that is there would pass for none.
    """
    try:
        return sorted(folder.iterdir())
    except PermissionError as error:
        if paths.VOLUME in (folder, *folder.parents) and paths.VOLUME not in paths.models_dir().parents:
            # A volume that is somebody else's: nobody said that a model is there.
            log.warning("no model is looked for in %s: %s", folder, error.strerror)
            return []
        raise _forbidden(error) from error
    except OSError:
        return []


def _forbidden(error: PermissionError) -> ModelError:
    what = "A model is looked for where this user may not look: permission denied"
    fix = "Check owner and permissions of it and the folders above it (ls -ld), or name a model elsewhere."
    return ModelError(what, seen=error.filename, next_step=fix)
