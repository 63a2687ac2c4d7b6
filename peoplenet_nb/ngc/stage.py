"""From NGC's files to a verified folder in its destination.

Files gather in a hidden folder beside the final one (same file system, so one rename moves the whole), and that
folder survives a broken run, which is what makes resuming possible.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from peoplenet_nb import paths
from peoplenet_nb.errors import DownloadError, OutputError
from peoplenet_nb.files import sha256_of
from peoplenet_nb.ngc.cli import CLI_VERSION, install, run
from peoplenet_nb.ngc.errors import Account, Destination, Unreachable
from peoplenet_nb.ngc.fetch import Moved, ensure_space, fetch, unwanted
from peoplenet_nb.ngc.find import model_in, structure_fault
from peoplenet_nb.ngc.http import Client
from peoplenet_nb.ngc.listing import Listing, RemoteFile
from peoplenet_nb.ngc.record import FileEntry, ModelRecord
from peoplenet_nb.urls import hide_secrets

log: logging.Logger = logging.getLogger(__name__)


class Stage:
    """The hidden folder in which the files of a listing gather, before they go to their destination."""

    def __init__(self, destination: Destination, listing: Listing, *, progress: bool) -> None:
        self._place, self._listing, self._progress = destination, listing, progress
        self._folder = self._filled = destination.folder.parent / f".{destination.folder.name}.part"
        destination.write(lambda: self._folder.mkdir(exist_ok=True), self._folder)
        here = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        missing = max(0, (self._total(0) or 0) - here)
        ensure_space(self._folder, missing, destination, self._folder if here else None)

    def over_http(self, client: Client) -> None:
        """Fetch every listed file, going on where an earlier run stopped."""
        path = f"models/org/nvidia/team/tao/peoplenet/{self._place.version}/files"
        with self._bar(self._place.version, self._total()) as moved:
            for file in self._listing.files:
                target = self._folder / file.name
                if target.exists() and (file.size or file.sha256) and not file.mismatch(target):
                    moved(target.stat().st_size)
                    continue
                try:
                    fetch(client, path, {"redirect": "true", "path": file.name}, target, file, moved)
                except Unreachable:
                    raise
                except DownloadError as error:
                    if self._required(file):
                        raise
                    log.info("%s is left out: %s", file.name, error)

    def through_cli(self, guest: Client, version: str | None, account: Account) -> None:
        """Let the NGC CLI fetch the version; it is fetched itself if need be."""
        with self._bar("NGC CLI", None) as moved:
            program = install(guest, paths.cache_dir() / "ngc-cli", version or CLI_VERSION, moved)
        made = self._folder / self._place.folder.name
        shutil.rmtree(made, ignore_errors=True)  # half of an earlier run; the program cannot resume it
        with self._bar(self._place.version, self._total()) as moved:
            self._filled = run(program, self._folder, self._place, account, moved)

    def into_place(self, via: str, api: str) -> ModelRecord:
        """Verify the whole folder, write its record and move it to its final name."""
        destination, listing = self._place, self._listing
        for file in listing.files:
            path = self._filled / file.name
            if path.is_file() and (wrong := file.mismatch(path)):
                failure = unwanted(destination, path, wrong)
                path.unlink()
                raise failure
            if not path.is_file() and self._required(file):
                raise destination.failure("damaged", f"{file.name} did not come")
        refused = structure_fault(self._filled / listing.model)
        if refused:
            (self._filled / listing.model).unlink()
            raise destination.failure("not a model", refused)
        source = f"{hide_secrets(api)}/models/org/nvidia/team/tao/peoplenet/{destination.version}/files"
        record = record_of(self._filled, destination, listing, via=via, source=source)
        destination.write(lambda: record.save(self._filled), self._filled)
        destination.write(self._rename, destination.folder)
        shutil.rmtree(self._folder, ignore_errors=True)  # empty, or what the CLI left beside its folder
        return record

    def _required(self, file: RemoteFile) -> bool:
        # Names that are only known here may be missing at NGC; the model itself may not.
        return self._listing.official or file.name == self._listing.model

    def _rename(self) -> None:
        target = self._place.folder
        with suppress(OSError):
            target.rmdir()  # made for files to come, and empty
        if target.exists():
            aside = target.with_name(f"{target.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
            target.rename(aside)
            log.warning("what stood in %s was moved to %s", target, aside)
        self._filled.rename(target)

    def _total(self, unknown: int | None = None) -> int | None:
        sizes = [unknown if file.size is None else file.size for file in self._listing.files]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @contextmanager
    def _bar(self, name: str, total: int | None) -> Iterator[Moved]:
        from tqdm.auto import tqdm

        with tqdm(total=total, desc=name, unit="B", unit_scale=True, disable=not self._progress) as bar:
            yield bar.update


def record_of(
    folder: Path, destination: Destination, listing: Listing, *, via: str, source: str
) -> ModelRecord:
    """Measure a verified folder and return its record, with the paths that it will have in its destination."""
    names = [file.name for file in listing.files if (folder / file.name).is_file()]
    files = {name: FileEntry((folder / name).stat().st_size, sha256_of(folder / name)) for name in names}
    model = next(file for file in listing.files if file.name == listing.model)
    by_size = "size+structure" if model.size is not None else "structure"
    return ModelRecord(
        version=destination.version,
        path=destination.folder / listing.model,
        size=files[listing.model].size,
        sha256=files[listing.model].sha256,
        verified="listing" if listing.official and model.size and model.sha256 else by_size,
        source_url=source,
        via=via,
        fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        files=files,
    )


def adopt(destination: Destination, listing: Listing, *, offline: bool) -> ModelRecord | None:
    """Return a new record for what already stands in a version's folder without one, if it is good.

    That is a model put there by hand or by the NGC CLI. Online it must agree with NGC's listing. Offline an
    ONNX model with the expected tensors is accepted: there is nothing to hold it against.
    """
    folder = destination.folder
    if ModelRecord.load(folder) is not None:  # it has a record, and `download` found it wanting
        return None
    found = folder / listing.model if listing.model else model_in(folder)
    if found is None or not found.is_file():
        return None
    wrong = [w for f in listing.files if (folder / f.name).is_file() and (w := f.mismatch(folder / f.name))]
    if offline and (wrong or not listing.files):
        if wrong:
            log.warning("%s: %s; NGC cannot be asked, so the structure must do", folder, wrong[0])
        listing, wrong = Listing((RemoteFile(found.name),), found.name, official=False), []
    fault = wrong[0] if wrong else structure_fault(found)
    if fault:
        log.warning("%s: %s; it is fetched", folder, fault)
        return None
    record = record_of(folder, destination, listing, via="hand", source="put there by hand")
    try:
        record.save(folder)
    except OutputError as error:
        log.info("no record could be written: %s", error)
    log.info("%s was already here and is good (%s)", record.path, record.verified)
    return record
