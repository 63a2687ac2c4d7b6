"""Unpack archives that come from outside.

One decision to know: names, links and sizes are checked before the first byte is unpacked. Nothing is written
outside the folder, nothing through a link, and never more than the archive announces.
"""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

_LARGEST = 2 << 30  # bytes unpacked; the NGC CLI is about a tenth of that
_MOST = 20_000  # members
_LONGEST_LINK = 1024
# RuntimeError is an encrypted member, or one of an unknown compression.
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError, ValueError)


def unpack(
    zipped: Path, folder: Path, room: Callable[[int], object] = lambda _: None, *, links: bool = False
) -> str:
    """Unpack an archive into a new folder; return what is wrong with it, "" if nothing.

    ``room`` is called with the bytes that it needs and may raise; ``links`` says whether there may be any.
    """
    try:
        with zipfile.ZipFile(zipped) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > _LARGEST or len(members) > _MOST:
                return f"it unpacks to {total} bytes in {len(members)} files"
            behind = {PurePosixPath(member.filename) for member in members if _is_link(member)}
            if behind and not links:
                return f"a link: {min(behind)}"
            fault = next((f for member in members if (f := _fault(archive, member, behind))), "")
            if fault:
                return fault
            room(total)
            folder.mkdir()
            # Links come last, so that no file is ever written through one.
            for member in sorted(members, key=_is_link):
                _write(archive, member, folder)
    except _BROKEN as error:
        return f"{zipped.name}: {str(error) or type(error).__name__}"
    return ""


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


def _fault(archive: zipfile.ZipFile, member: zipfile.ZipInfo, links: set[PurePosixPath]) -> str:
    name = PurePosixPath(member.filename)
    if not name.parts or name.is_absolute() or ".." in name.parts or "\\" in member.filename:
        return f"a file that would be written outside: {member.filename}"
    if links.intersection(name.parents):
        return f"a file behind a link: {member.filename}"
    if _is_link(member):
        if member.file_size > _LONGEST_LINK:
            return f"a link of {member.file_size} bytes: {member.filename}"
        target = archive.read(member).decode("utf-8", "replace")
        landing = os.path.normpath(name.parent / target)
        if PurePosixPath(target).is_absolute() or landing.startswith(".."):
            return f"a link that leads outside: {member.filename}"
    return ""


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / member.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.is_dir():
        target.mkdir(exist_ok=True)
    elif _is_link(member):
        target.symlink_to(archive.read(member).decode())
    else:
        with archive.open(member) as source, target.open("xb") as file:
            shutil.copyfileobj(source, file)
        target.chmod(0o755 if (member.external_attr >> 16) & 0o111 else 0o644)
