"""Which versions of PeopleNet there are, and which files each has.

One decision to know: NGC's listing is trusted for sizes and hashes but not for names: only plain file names are
taken from it, so that no listing can place a file outside the model's folder. When the listing itself cannot be
had, the versions of `VERSIONS` are still fetched, by size and structure.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peoplenet_nb.errors import DownloadError
from peoplenet_nb.files import sha256_of
from peoplenet_nb.ngc.errors import CATALOG, MODEL, ROWS, Unreachable

if TYPE_CHECKING:
    from peoplenet_nb.ngc.http import Client

log: logging.Logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownVersion:
    """A version whose files are known without asking: its ``.onnx`` file, all files, and a line about it."""

    model: str
    files: Mapping[str, int | None]
    """Names and, where known, sizes in bytes."""
    about: str


def _only(model: str, about: str) -> KnownVersion:
    return KnownVersion(model, {model: None, "labels.txt": None}, about)


DEFAULT_VERSION = "pruned_quantized_decrypted_v2.3.4"
_INT8, _FULL = "resnet34_peoplenet_int8", "resnet34_peoplenet.onnx"

VERSIONS: dict[str, KnownVersion] = {
    DEFAULT_VERSION: KnownVersion(
        f"{_INT8}.onnx",
        {f"{_INT8}.onnx": 8_788_899, f"{_INT8}.txt": 16_678, "nvinfer_config.txt": 207, "labels.txt": 16},
        "pruned, 2.18 M parameters, 8.8 MB: the default",
    ),
    "pruned_quantized_decrypted_v2.3.3": _only(f"{_INT8}.onnx", "pruned, the release before the default"),
    "deployable_quantized_onnx_v2.6.3": _only(_FULL, "not pruned, about 85 MB"),
    "deployable_quantized_onnx_v2.6.2": _only(_FULL, "not pruned, about 85 MB"),
}


def checked_version(version: str) -> str:
    """Return a version's bare name; ``nvidia/tao/peoplenet:<version>`` is understood too."""
    model, colon, name = version.strip().rpartition(":")
    if colon and model not in (MODEL, "peoplenet"):
        what, next_step = ROWS["not found"]
        raise DownloadError(what, seen=version, next_step=next_step)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", name):
        fix = f"Known ones: {', '.join(VERSIONS)}; all of them: {CATALOG}."
        raise DownloadError("That is not the name of a version", seen=version, next_step=fix)
    return name


@dataclass(frozen=True)
class RemoteFile:
    """A file as NGC lists it: a plain name and, where known, size in bytes and hexadecimal SHA-256."""

    name: str
    size: int | None = None
    sha256: str | None = None

    def mismatch(self, path: Path) -> str:
        """Return how a file on disk differs from the listing, "" when it does not."""
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"{self.name}: {size} bytes, expected {self.size}"
        if self.sha256 is not None and (found := sha256_of(path)) != self.sha256:
            return f"{self.name}: SHA-256 {found}, expected {self.sha256}"
        return ""


@dataclass(frozen=True)
class Listing:
    """The files of one version, the name of its model, and whether NGC listed them or `VERSIONS` did."""

    files: tuple[RemoteFile, ...]
    model: str
    official: bool


def listing_of(client: Client, version: str) -> tuple[Listing, Unreachable | None]:
    """Return the files of a version; offline those known here, and the error to raise if they are of no use."""
    refused: DownloadError | None = None
    files: tuple[RemoteFile, ...] = ()
    known = VERSIONS.get(version)
    named = tuple(RemoteFile(name, size) for name, size in known.files.items()) if known else ()
    unlisted = Listing(named, known.model if known else "", official=False)
    try:
        files = files_in(client.get_json(f"models/{MODEL}/versions/{version}/files") or {})
    except Unreachable as error:
        return unlisted, error
    except DownloadError as error:
        refused = error
    if files:
        return _official(version, files), None
    if known is None:
        seen = f"NGC's listing of {version} cannot be understood"
        raise refused or client.destination.failure("not a model", seen)
    log.info("NGC's listing of %s cannot be had; its files are asked for by their known names", version)
    return unlisted, None


def _official(version: str, files: tuple[RemoteFile, ...]) -> Listing:
    models = sorted((f for f in files if f.name.endswith(".onnx")), key=lambda f: f.size or 0)
    if not models:
        seen, fix = f"{version}: {', '.join(f.name for f in files)}", f"such as {DEFAULT_VERSION}."
        what = "This version holds no ONNX file"
        raise DownloadError(what, seen=seen, next_step=f"Choose a version that does, {fix}")
    if unproven := ", ".join(f.name for f in files if f.sha256 is None):
        log.warning("NGC lists no SHA-256 for %s: only size and structure can be checked", unproven)
    known = VERSIONS.get(version)
    expected = known is not None and any(f.name == known.model for f in models)
    return Listing(files, known.model if known and expected else models[-1].name, official=True)


def files_in(answer: Mapping[str, Any]) -> tuple[RemoteFile, ...]:
    """Return the files of NGC's answer; names with a folder in them are left out."""
    listed = (answer.get(key) for key in ("modelFiles", "files"))
    entries: list[Any] = next((found for found in listed if isinstance(found, list)), [])
    files = []
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        name = str(entry.get("path") or entry.get("name") or "")
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}", name):
            log.warning("a file of NGC's listing is left out: %r is no plain file name", name[:100])
            continue
        size = entry.get("sizeInBytes", entry.get("size"))
        digest = _hexadecimal(entry.get("sha256_base64") or entry.get("sha256Base64"))
        files.append(RemoteFile(name, size if type(size) is int and size >= 0 else None, digest))
    return tuple(files)


def _hexadecimal(text: object) -> str | None:
    try:
        digest = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return None
    return digest.hex() if len(digest) == 32 else None
