"""One download from beginning to end.

One decision to know: everything happens in a hidden folder beside the final one, and a whole verified folder
is moved into place by one rename. What stood there before is moved aside, never deleted.
"""

from __future__ import annotations

import logging
import os
import re
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from peoplenet_nb import paths
from peoplenet_nb.errors import DownloadError
from peoplenet_nb.files import lock
from peoplenet_nb.ngc.errors import Account, Destination, Secret
from peoplenet_nb.ngc.listing import DEFAULT_VERSION, checked_version
from peoplenet_nb.ngc.record import ModelRecord

log: logging.Logger = logging.getLogger(__name__)


def download(
    version: str = DEFAULT_VERSION,
    dest: str | Path | None = None,
    *,
    via: str = "http",
    api_key: str | None = None,
    org: str | None = None,
    team: str | None = None,
    force: bool = False,
    progress: bool = True,
    api: str | None = None,
    auth: str | None = None,
    cli_version: str | None = None,
    retries: int = 4,
    backoff: float = 0.5,
) -> ModelRecord:
    """Fetch a version of PeopleNet, unless a good copy is there already.

    Parameters
    ----------
    version : str
        A version of nvidia/tao/peoplenet; `VERSIONS` holds some, any other of NGC's may be named.
    dest : str or Path, optional
        Folder that gets ``peoplenet_v<version>/``; default ``models_dir()``.
    via : {"http", "cli"}
        Directly, or through the NGC CLI (itself fetched and checked first).
    api_key : str, optional
        Personal (nvapi-...) or legacy key; default ``NGC_API_KEY``, then ``NGC_CLI_API_KEY``. "" is a guest
        whatever the environment holds. PeopleNet needs no key.
    org, team : str, optional
        Of the key; default ``NGC_CLI_ORG`` and ``NGC_CLI_TEAM``. A legacy key needs its org.
    force : bool
        Fetch even if a good copy is there; that copy is moved aside.
    progress : bool
        Show a progress bar.
    api, auth : str, optional
        Addresses of NGC; default ``PEOPLENET_NGC_API``, ``PEOPLENET_NGC_AUTH``, else NVIDIA's.
    cli_version : str, optional
        Version of the NGC CLI.
    retries : int
        Repetitions of a request that brings nothing.
    backoff : float
        Seconds before the first repetition.

    Returns
    -------
    ModelRecord
        What came, from where and how it was verified; also written as JSON beside the model.

    Raises
    ------
    DownloadError
        NGC refuses, the disk is full, or what came does not verify.
    Unreachable
        NGC cannot be reached; the caller may go on with the stand-in.

    Examples
    --------
    >>> record = download(progress=False)  # doctest: +SKIP
    >>> record.verified  # doctest: +SKIP
    'listing'
    """
    # requests and what needs it are imported here: finding a model that is there must stay quick.
    from peoplenet_nb.ngc.http import API, AUTH, Client
    from peoplenet_nb.ngc.listing import listing_of
    from peoplenet_nb.ngc.session import quiet_addresses
    from peoplenet_nb.ngc.stage import Stage, adopt

    key = _key_from(api_key)
    del api_key  # from here on the key is only in a Secret, which no traceback with locals shows
    name = checked_version(version)
    root = paths.models_dir() if dest is None else Path(dest).expanduser().absolute()
    destination = Destination(name, root / f"peoplenet_v{name}")
    if via not in ("http", "cli"):
        raise DownloadError("There is no such way to download", seen=via, next_step="Use http or cli.")
    record = ModelRecord.load(destination.folder)
    if record is not None and not force:
        fault = record.fault()
        if not fault:
            log.info("%s is already here and good", record.path)
            return record
        log.warning("%s: %s; it is fetched again", destination.folder, fault)
    account = _account(destination, key, org, team)
    conversation = partial(
        Client,
        destination,
        api=api or os.environ.get("PEOPLENET_NGC_API") or API,
        auth=auth or os.environ.get("PEOPLENET_NGC_AUTH") or AUTH,
        retries=retries,
        backoff=backoff,
    )
    client = conversation(account)
    with ExitStack() as held, quiet_addresses():
        _lock(destination, held)
        listing, offline = listing_of(client, destination.version)
        if not force and (adopted := adopt(destination, listing, offline=offline is not None)) is not None:
            return adopted
        if offline is not None:
            raise offline
        stage = Stage(destination, listing, progress=progress)
        if via == "cli":
            # The program's archive is public: it is fetched as guest, and only the program gets the key.
            stage.through_cli(conversation(Account()), cli_version, account)
        else:
            stage.over_http(client)
        record = stage.into_place(via, client.api)
    facts = (record.path, record.size, record.sha256, record.verified)
    log.info("%s: %d bytes, SHA-256 %s, verified by %s", *facts)
    return record


def _key_from(api_key: str | None) -> Secret | None:
    """Return the key given, else the environment's; None for a guest."""
    if api_key is None:
        api_key = os.environ.get("NGC_API_KEY") or os.environ.get("NGC_CLI_API_KEY") or ""
    return Secret(api_key.strip()) if api_key.strip() else None


def _account(destination: Destination, key: Secret | None, org: str | None, team: str | None) -> Account:
    """Return key, org and team, the environment's only together with a key; refuse what cannot go together."""
    if key is None:
        if org or team:
            raise destination.failure("org", "an org or team without an API key")
        return Account()
    if not re.fullmatch(r"[!-~]+", key.reveal()):
        raise destination.failure("key", "a key with spaces, line breaks or other characters that no key has")
    return Account(key, org or os.environ.get("NGC_CLI_ORG"), team or os.environ.get("NGC_CLI_TEAM"))


def _lock(destination: Destination, held: ExitStack) -> None:
    """Keep a second download of the same version away: two writers would spoil one part."""
    root = destination.folder.parent

    def take() -> bool:
        root.mkdir(parents=True, exist_ok=True)
        with suppress(BlockingIOError):
            held.enter_context(lock(root / f".{destination.folder.name}.lock"))
            return True
        return False

    if not destination.write(take, root):
        what = "Another process is downloading this version right now"
        fix = "Wait for it to end and run this again: it will find the model."
        raise DownloadError(what, seen=destination.folder, next_step=fix)
