"""The same download through NVIDIA's own command line program, without a question asked.

The program is fetched, checked and run in a place of its own: it neither reads nor writes ``~/.ngc``.

One decision to know: it is configured through its environment alone. A key on a command line can be read
by every user of the machine (``ps``), and ``ngc config set`` would write it to disk.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import stat
import subprocess
import tempfile
import time
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO

from peoplenet_nb.errors import DownloadError
from peoplenet_nb.ngc.errors import MODEL, Place, Secret, redact, row_for_text
from peoplenet_nb.ngc.fetch import Moved, RemoteFile, ensure_space, fetch
from peoplenet_nb.ngc.http import Client

CLI_VERSION = "4.13.0"
_ARCHIVES = {
    ("Linux", "x86_64"): "ngccli_linux.zip",
    ("Linux", "aarch64"): "ngccli_arm64.zip",
}
_TREE, _MD5 = "ngc-cli", "ngc-cli.md5"
_LARGEST = 2 << 30  # bytes unpacked; the real one is about a tenth of that
_STALLED = 600.0  # seconds without a new byte on disk
_POLL = 0.2

log = logging.getLogger(__name__)


def install(client: Client, cache: Path, version: str = CLI_VERSION, moved: Moved = lambda _: None) -> Path:
    """Return a checked NGC CLI, fetching it if it is not there yet.

    Parameters
    ----------
    client : Client
        The conversation with NGC; the archive needs no key.
    cache : Path
        Where it is kept, one folder a version.
    version : str
        Version of the program.
    moved : callable
        Told how many bytes came.

    Returns
    -------
    Path
        The executable, inside a tree that agrees with its ``ngc-cli.md5`` at this moment.

    Raises
    ------
    DownloadError
        No archive for this machine, or one that is damaged or tries to write outside its folder.
    """
    archive = _ARCHIVES.get((platform.system(), platform.machine()))
    if archive is None:
        raise DownloadError(
            "There is no NGC CLI archive for this kind of machine",
            seen=f"{platform.system()} {platform.machine()}",
            next_step=f"Download without it (via='http'), which needs no program. {client.place.by_hand}",
        )
    home = cache / version
    if home.is_dir():
        fault = md5_fault(home)
        if not fault:
            return home / _TREE / "ngc"
        log.warning("the NGC CLI in %s has changed (%s) and is fetched again", home, fault)
        shutil.rmtree(home)
    cache.mkdir(parents=True, exist_ok=True)
    zipped = cache / f"{version}-{archive}"
    path = f"resources/nvidia/ngc-apps/ngc_cli/versions/{version}/files/{archive}"
    log.info("fetching the NGC CLI %s", version)
    fetch(client, path, {}, zipped, RemoteFile(archive), moved)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".unpack-") as temporary:
        unpacked = Path(temporary) / "tree"
        fault = unpack(zipped, unpacked, client.place) or md5_fault(unpacked)
        zipped.unlink()
        if fault:
            raise DownloadError(
                "The NGC CLI's archive is not what it should be, so it is not run",
                seen=fault,
                next_step=f"Try again, or download without it (via='http'). {client.place.by_hand}",
            )
        unpacked.rename(home)
    return home / _TREE / "ngc"


def unpack(zipped: Path, folder: Path, place: Place) -> str:
    """Unpack an archive into a new folder; return what is wrong with it, "" if nothing.

    Nothing is ever written outside the folder: names with "..", absolute names and links that lead out are
    refused before the first byte is written.
    """
    try:
        with zipfile.ZipFile(zipped) as archive:
            members = archive.infolist()
            links = {PurePosixPath(member.filename) for member in members if _is_link(member)}
            fault = next((f for member in members if (f := _member_fault(archive, member, links))), "")
            total = sum(member.file_size for member in members)
            if fault or total > _LARGEST:
                return fault or f"it unpacks to {total} bytes"
            ensure_space(zipped.parent, total, place)
            folder.mkdir()
            # Links come last, so that no file is ever written through one.
            for member in sorted(members, key=_is_link):
                _write_member(archive, member, folder)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:
        return f"{zipped.name}: {type(error).__name__}"
    return ""


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


def _member_fault(archive: zipfile.ZipFile, member: zipfile.ZipInfo, links: set[PurePosixPath]) -> str:
    name = PurePosixPath(member.filename)
    if not name.parts or name.is_absolute() or ".." in name.parts or "\\" in member.filename:
        return f"a file that would be written outside: {member.filename}"
    if links.intersection(name.parents):
        return f"a file behind a link: {member.filename}"
    if _is_link(member):
        target = archive.read(member).decode("utf-8", "replace")
        landing = os.path.normpath(name.parent / target)
        if PurePosixPath(target).is_absolute() or landing.startswith(".."):
            return f"a link that leads outside: {member.filename}"
    return ""


def _write_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / member.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.is_dir():
        target.mkdir(exist_ok=True)
    elif _is_link(member):
        target.symlink_to(archive.read(member).decode())
    else:
        with archive.open(member) as source, target.open("xb") as file:
            shutil.copyfileobj(source, file)
        executable = (member.external_attr >> 16) & 0o111 or target.name == "ngc"
        target.chmod(0o755 if executable else 0o644)


def md5_fault(home: Path) -> str:
    """Compare a tree with its ``ngc-cli.md5``; return what is wrong, "" if nothing.

    NVIDIA's rule: ``find ngc-cli/ -type f -exec md5sum {} + | LC_ALL=C sort | md5sum -c ngc-cli.md5``.
    """
    try:
        promised = (home / _MD5).read_text().split()[0]
        lines = sorted(
            f"{_md5(path)}  {path.relative_to(home).as_posix()}\n".encode()
            for path in (home / _TREE).rglob("*")
            if path.is_file() and not path.is_symlink()
        )
    except (OSError, IndexError, ValueError):
        return f"it has no readable {_MD5}"
    if not (home / _TREE / "ngc").is_file():
        return f"it has no {_TREE}/ngc"
    found = hashlib.md5(b"".join(lines), usedforsecurity=False).hexdigest()
    return "" if found == promised else f"MD5 of the tree is {found}, {_MD5} says {promised}"


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def environment(home: Path, key: Secret | None, org: str | None, team: str | None) -> dict[str, str]:
    """Return the program's environment: ours without any NGC variable, plus what this call needs.

    A guest has neither key nor org nor team; ``NGC_CLI_HOME`` keeps a configuration of the user's out.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("NGC_")}
    ours |= {"NGC_CLI_HOME": str(home), "NGC_CLI_FORMAT_TYPE": "json"}
    if key is not None:
        ours["NGC_CLI_API_KEY"] = key.reveal()
        ours |= {name: value for name, value in (("NGC_CLI_ORG", org), ("NGC_CLI_TEAM", team)) if value}
    return ours


def run(
    program: Path,
    stage: Path,
    place: Place,
    *,
    key: Secret | None = None,
    org: str | None = None,
    team: str | None = None,
    moved: Moved = lambda _: None,
) -> Path:
    """Run the download and return the folder that it made.

    Parameters
    ----------
    program : Path
        A checked executable.
    stage : Path
        An existing folder; the program makes ``peoplenet_v<version>`` in it.
    place : Place
        Which version, and where it goes, for the messages.
    key, org, team : optional
        Passed through the environment only.
    moved : callable
        Told how many bytes appeared.

    Raises
    ------
    DownloadError
        The program failed; its last words, without secrets, and the row of the failure table they fit.
    """
    made = stage / f"peoplenet_v{place.version}"
    words = ["registry", "model", "download-version", f"{MODEL}:{place.version}", "--dest", str(stage)]
    with tempfile.TemporaryDirectory(prefix="peoplenet-ngc-") as home, tempfile.TemporaryFile() as output:
        process = _start([str(program), *words], output, place, Path(home), key, org, team)
        stalled = _watch(process, made, moved)
        output.seek(0)
        said = redact(output.read().decode("utf-8", "replace"), [key]).strip()
    log.debug("ngc: %s", said)
    if stalled:
        raise place.failure("cut", f"the NGC CLI wrote nothing for {_STALLED:.0f} s")
    # It is known to report a failed download with exit status 0, so the folder is looked at as well.
    if process.returncode != 0 or not made.is_dir():
        row = row_for_text(said) or "cli"
        raise place.failure(row, f"exit status {process.returncode}: {said[-200:]}")
    return made


def _start(
    command: list[str],
    output: IO[bytes],
    place: Place,
    home: Path,
    key: Secret | None,
    org: str | None,
    team: str | None,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            env=environment(home, key, org, team),  # in no variable: a traceback with locals would show it
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:  # a volume mounted noexec, say
        failure = place.failure("cli", f"{command[0]}: {error.strerror}")
    raise failure


def _watch(process: subprocess.Popen[bytes], folder: Path, moved: Moved) -> bool:
    """Report growth until the process ends; return whether it was ended for standing still."""
    seen, since = 0, time.monotonic()
    try:
        while True:
            ended = process.poll() is not None
            size = _bytes_in(folder)
            if size != seen:
                moved(size - seen)
                seen, since = size, time.monotonic()
            if ended:
                return False
            if time.monotonic() - since > _STALLED:
                return True
            time.sleep(_POLL)
    finally:
        if process.poll() is None:  # also on Ctrl-C: no download goes on unseen
            process.kill()
            process.wait()


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # the program renames its files while we look
            total += path.stat().st_size if path.is_file() else 0
    return total
