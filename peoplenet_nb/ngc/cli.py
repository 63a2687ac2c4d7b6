"""The same download through NVIDIA's own command line program, without a question asked.

The program is fetched, checked and run in a folder of its own. What came is held against the MD5 that lies in the
same archive, which proves that it is whole but not that it is NVIDIA's: for that there is only the TLS connection.
No SHA-256 is published; the one that came is logged.

One decision to know: it is configured through its environment alone. A key on a command line can be read
by every user of the machine (``ps``), and ``ngc config set`` would write it to disk.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from peoplenet_nb.files import sha256_of
from peoplenet_nb.ngc.archive import unpack
from peoplenet_nb.ngc.errors import MODEL, Account, Destination, redact, row_for_text
from peoplenet_nb.ngc.fetch import Moved, ensure_space, fetch
from peoplenet_nb.ngc.http import Client
from peoplenet_nb.ngc.listing import RemoteFile

CLI_VERSION = "4.13.0"
_ARCHIVES = {"Linux x86_64": "ngccli_linux.zip", "Linux aarch64": "ngccli_arm64.zip"}
_TREE, _MD5 = "ngc-cli", "ngc-cli.md5"
_STALLED = 600.0  # seconds without a new byte on disk
_LEAST_RATE = 10_000  # bytes a second on average, once it has run that long
_POLL = 0.2

log: logging.Logger = logging.getLogger(__name__)


def install(client: Client, cache: Path, version: str = CLI_VERSION, moved: Moved = lambda _: None) -> Path:
    """Return the NGC CLI, in a tree that agrees with its MD5 right now; fetch it as guest if it is not there."""
    machine = f"{platform.system()} {platform.machine()}"
    archive = _ARCHIVES.get(machine)
    if archive is None:
        fix = "Download without it (via='http'), which needs no program."
        raise client.destination.error("There is no NGC CLI archive for this kind of machine", machine, fix)
    home = cache / version
    if home.is_dir():
        fault = md5_fault(home)
        if not fault:
            return home / _TREE / "ngc"
        log.warning("the NGC CLI in %s has changed (%s) and is fetched again", home, fault)
        shutil.rmtree(home)
    client.destination.write(lambda: cache.mkdir(parents=True, exist_ok=True), cache)
    zipped = cache / f"{version}-{archive}"
    path = f"resources/nvidia/ngc-apps/ngc_cli/versions/{version}/files/{archive}"
    fetch(client, path, {}, zipped, RemoteFile(archive), moved)
    log.info("NGC CLI %s: %s, SHA-256 %s", version, archive, sha256_of(zipped))
    with tempfile.TemporaryDirectory(dir=cache, prefix=".unpack-") as temporary:
        tree = Path(temporary) / "tree"
        fault = unpack(zipped, tree, lambda total: ensure_space(cache, total, client.destination), links=True)
        fault = fault or md5_fault(tree)
        zipped.unlink()
        if fault:
            what = "The NGC CLI's archive is not what it should be, so it is not run"
            fix = "Try again, or download without it (via='http')."
            raise client.destination.error(what, redact(fault), fix)
        (tree / _TREE / "ngc").chmod(0o755)
        tree.rename(home)
    return home / _TREE / "ngc"


def md5_fault(home: Path) -> str:
    """Compare a tree with its ``ngc-cli.md5``; return what is wrong, "" if nothing.

    NVIDIA's rule: ``find ngc-cli/ -type f -exec md5sum {} + | LC_ALL=C sort | md5sum -c ngc-cli.md5``.
    """
    try:
        promised = (home / _MD5).read_text().split()[0]
        lines = sorted(
            f"{_md5(path.read_bytes())}  {path.relative_to(home).as_posix()}\n".encode()
            for path in (home / _TREE).rglob("*")
            if path.is_file() and not path.is_symlink()
        )
    except (OSError, IndexError, ValueError):
        return f"it has no readable {_MD5}"
    if not (home / _TREE / "ngc").is_file():
        return f"it has no {_TREE}/ngc"
    found = _md5(b"".join(lines))
    return "" if found == promised else f"MD5 of the tree is {found}, {_MD5} says {promised}"


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def environment(home: Path, account: Account) -> dict[str, str]:
    """Return the program's environment: ours without any NGC variable, plus what this call needs.

    A guest has neither key nor org nor team; ``NGC_CLI_HOME`` keeps a configuration of the user's out.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("NGC_")}
    ours |= {"NGC_CLI_HOME": str(home), "NGC_CLI_FORMAT_TYPE": "json"}
    if account.key is not None:
        ours["NGC_CLI_API_KEY"] = account.key.reveal()
        belongs = {"NGC_CLI_ORG": account.org, "NGC_CLI_TEAM": account.team}
        ours |= {name: value for name, value in belongs.items() if value}
    return ours


def run(program: Path, stage: Path, destination: Destination, account: Account, moved: Moved) -> Path:
    """Let the program download into an existing folder, and return the folder that it made there."""
    made, refused = stage / f"peoplenet_v{destination.version}", None
    what = ["registry", "model", "download-version", f"{MODEL}:{destination.version}", "--dest", str(stage)]
    with tempfile.TemporaryDirectory(prefix="peoplenet-ngc-") as home, tempfile.TemporaryFile() as output:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        try:  # the environment is in no variable: a traceback would show it
            process = subprocess.Popen([program, *what], env=environment(Path(home), account), **streams)
        except OSError as error:  # a volume mounted noexec, say
            refused = error.strerror
        if refused is not None:
            raise destination.failure("cli", f"{program}: {refused}")
        stalled = _watch(process, made, moved)
        output.seek(0)
        words = redact(output.read().decode("utf-8", "replace"), [account.key]).strip()
    log.debug("ngc: %s", words)
    if stalled:
        raise destination.failure(
            "cut", f"the NGC CLI wrote nothing, or next to nothing, for {_STALLED:.0f} s"
        )
    # It is known to report a failed download with exit status 0, so the folder is looked at as well.
    if process.returncode != 0 or not made.is_dir():
        raise destination.failure(
            row_for_text(words) or "cli", f"exit status {process.returncode}: {words[-200:]}"
        )
    return made


def _watch(process: subprocess.Popen[bytes], folder: Path, moved: Moved) -> bool:
    """Report growth until the process ends; return whether it was ended for standing still."""
    size, began = 0, time.monotonic()
    since = began
    try:
        while True:
            ended, before = process.poll() is not None, size
            size = _bytes_in(folder)
            if size != before:
                moved(size - before)
                since = time.monotonic()
            if ended:
                return False
            now = time.monotonic()
            if now - since > _STALLED or now - began > _STALLED + size / _LEAST_RATE:
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
