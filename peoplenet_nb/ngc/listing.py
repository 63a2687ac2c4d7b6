"""Which files a version has, as NGC lists them.

One decision to know: NGC's listing is trusted for sizes and hashes but not for names. Only plain file names
are taken from it, so that no listing can place a file outside the model's folder; and when the listing
itself cannot be had, the versions known here are still fetched, by size and structure.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from peoplenet_nb.errors import DownloadError
from peoplenet_nb.ngc.errors import MODEL, Place, Unreachable
from peoplenet_nb.ngc.fetch import RemoteFile
from peoplenet_nb.ngc.http import Client
from peoplenet_nb.ngc.versions import DEFAULT_VERSION, VERSIONS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """The files of one version.

    Attributes
    ----------
    files : tuple of RemoteFile
        All of them, the model among them.
    model : str
        Name of the ``.onnx`` file.
    official : bool
        True when NGC listed them, False when they are those of `VERSIONS`.
    """

    files: tuple[RemoteFile, ...]
    model: str
    official: bool


def listing_of(client: Client, version: str) -> Listing:
    """Return the files of a version, from NGC if it tells.

    Raises
    ------
    DownloadError
        NGC refuses to list a version that is not known here, or it holds no ONNX file.
    Unreachable
        NGC cannot be reached.
    """
    refused: DownloadError | None = None
    files: tuple[RemoteFile, ...] = ()
    try:
        told = client.get_json(f"models/{MODEL}/versions/{version}/files")
        files = files_in(told) if told else ()
    except Unreachable:
        raise
    except DownloadError as error:
        refused = error
    known = VERSIONS.get(version)
    if files:
        models = sorted((f for f in files if f.name.endswith(".onnx")), key=lambda f: f.size or 0)
        if not models:
            raise DownloadError(
                "This version holds no ONNX file",
                seen=f"{version}: {', '.join(f.name for f in files)}",
                next_step=f"Choose a version that does, such as {DEFAULT_VERSION}.",
            )
        expected = known is not None and any(f.name == known.model for f in models)
        return Listing(files, known.model if known and expected else models[-1].name, official=True)
    unlisted = _known_files(version)
    if unlisted is None:
        raise refused or client.place.failure(
            "not a model", f"NGC's listing of {version} cannot be understood"
        )
    log.info("NGC's listing of %s cannot be had; its files are asked for by their known names", version)
    return unlisted


def listing_or_known(client: Client, place: Place) -> tuple[Listing, Unreachable | None]:
    """Return a version's files; offline those known here, and the error to raise if they do not help."""
    try:
        return listing_of(client, place.version), None
    except Unreachable as error:
        offline = error
    return _known_files(place.version) or Listing((), "", official=False), offline


def _known_files(version: str) -> Listing | None:
    known = VERSIONS.get(version)
    if known is None:
        return None
    files = tuple(RemoteFile(name, size) for name, size in known.files.items())
    return Listing(files, known.model, official=False)


def files_in(told: Mapping[str, Any]) -> tuple[RemoteFile, ...]:
    """Return the files of NGC's answer; names with a folder in them are left out."""
    entries: list[Any] = next(
        (told[key] for key in ("modelFiles", "files") if isinstance(told.get(key), list)), []
    )
    files = []
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        name = str(entry.get("path") or entry.get("name") or "")
        if not re.fullmatch(r"[A-Za-z0-9_][\w.+-]*", name):
            log.warning("a file of NGC's listing is left out: %r is no plain file name", name[:100])
            continue
        size = entry.get("sizeInBytes", entry.get("size"))
        files.append(
            RemoteFile(
                name,
                size if isinstance(size, int) and size >= 0 else None,
                _hexadecimal(entry.get("sha256_base64") or entry.get("sha256Base64")),
            )
        )
    return tuple(files)


def _hexadecimal(text: object) -> str | None:
    if not isinstance(text, str):
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest.hex() if len(digest) == 32 else None
