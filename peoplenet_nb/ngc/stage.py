"""From NGC's files to a verified folder in its place.

One decision to know: nothing appears under the final name until all of it is verified. Files gather in a
hidden folder beside it (same file system, so one rename moves the whole), and that folder survives a broken
run, which is what makes resuming possible.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from peoplenet_nb import paths
from peoplenet_nb.errors import DownloadError, ModelError
from peoplenet_nb.files import sha256_of
from peoplenet_nb.ngc.address import plain_url
from peoplenet_nb.ngc.cli import CLI_VERSION, install, run
from peoplenet_nb.ngc.errors import Place, Secret, Unreachable
from peoplenet_nb.ngc.fetch import Moved, RemoteFile, ensure_space, fetch, unwanted
from peoplenet_nb.ngc.find import model_in
from peoplenet_nb.ngc.http import Client
from peoplenet_nb.ngc.listing import Listing
from peoplenet_nb.ngc.record import FileEntry, ModelRecord
from peoplenet_nb.onnxfile.kind import HEAD

log = logging.getLogger(__name__)


class Stage:
    """The hidden folder in which one version gathers.

    Parameters
    ----------
    place : Place
        Where the version will stand.
    listing : Listing
        Its files.
    progress : bool
        Show progress bars.

    Raises
    ------
    DownloadError
        The folder cannot be made, or its disk has no room for what is missing.
    """

    def __init__(self, place: Place, listing: Listing, *, progress: bool) -> None:
        self._place, self._listing, self._progress = place, listing, progress
        self._folder = place.folder.parent / f".{place.folder.name}.part"
        self._filled = self._folder
        failure: DownloadError | None = None
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            failure = place.write_failure(error.errno, error.strerror, self._folder)
        if failure is not None:
            raise failure
        missing = 0
        for file in listing.files:
            here = [self._folder / file.name, self._folder / f"{file.name}.part"]
            missing += max(0, (file.size or 0) - sum(path.stat().st_size for path in here if path.exists()))
        ensure_space(self._folder, missing, place)

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
                    # Names that are only known here may be missing at NGC; the model itself may not.
                    if self._listing.official or file.name == self._listing.model:
                        raise
                    log.info("%s is left out: %s", file.name, error)

    def through_cli(
        self, guest: Client, version: str | None, key: Secret | None, org: str | None, team: str | None
    ) -> None:
        """Let the NGC CLI fetch the version; it is fetched itself if need be."""
        with self._bar("NGC CLI", None) as moved:
            program = install(guest, paths.cache_dir() / "ngc-cli", version or CLI_VERSION, moved)
        made = self._folder / self._place.folder.name
        shutil.rmtree(made, ignore_errors=True)  # half of an earlier run; the program cannot resume it
        with self._bar(self._place.version, self._total()) as moved:
            self._filled = run(program, self._folder, self._place, key=key, org=org, team=team, moved=moved)

    def into_place(self, via: str, api: str) -> ModelRecord:
        """Verify the whole folder, write its record and move it to its final name.

        Raises
        ------
        DownloadError
            A file is missing or differs from the listing, or the model is not a DetectNet_v2 ONNX.
        """
        for file in self._listing.files:
            path = self._filled / file.name
            wrong = file.mismatch(path) if path.is_file() else ""
            if wrong:
                with path.open("rb") as opened:
                    failure = unwanted(self._place, opened.read(HEAD), wrong)
                path.unlink()
                raise failure
            if not path.is_file() and (self._listing.official or file.name == self._listing.model):
                raise self._place.failure("damaged", f"{file.name} did not come")
        refused = structure_fault(self._filled / self._listing.model)
        if refused is not None:
            (self._filled / self._listing.model).unlink()
            raise self._place.failure("not a model", f"{refused.what} ({refused.seen})")
        source = f"{plain_url(api)}/models/org/nvidia/team/tao/peoplenet/{self._place.version}/files"
        made = record_of(self._filled, self._place, self._listing, via=via, source=source)
        made.save(self._filled)
        self._rename()
        return made

    def _rename(self) -> None:
        target = self._place.folder
        failure: DownloadError | None = None
        try:
            if target.exists():
                aside = target.with_name(f"{target.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
                target.rename(aside)
                log.warning("what stood in %s was moved to %s", target, aside)
            self._filled.rename(target)
        except OSError as error:
            failure = self._place.write_failure(error.errno, error.strerror, target)
        if failure is not None:
            raise failure
        shutil.rmtree(self._folder, ignore_errors=True)  # empty, or what the CLI left beside its folder

    def _total(self) -> int | None:
        sizes = [file.size for file in self._listing.files]
        return sum(size or 0 for size in sizes) if all(size is not None for size in sizes) else None

    @contextmanager
    def _bar(self, name: str, total: int | None) -> Iterator[Moved]:
        from tqdm.auto import tqdm

        with tqdm(total=total, desc=name, unit="B", unit_scale=True, disable=not self._progress) as bar:
            yield bar.update


def structure_fault(model: Path) -> ModelError | None:
    """Return what is wrong with a model file, None if it is a DetectNet_v2 ONNX."""
    from peoplenet_nb.onnxfile import read_model_file

    try:
        read_model_file(model)
    except ModelError as error:
        return error
    return None


def record_of(folder: Path, place: Place, listing: Listing, *, via: str, source: str) -> ModelRecord:
    """Measure a verified folder and return its record, with the paths that it will have in its place."""
    names = [file.name for file in listing.files if (folder / file.name).is_file()]
    files = {name: FileEntry((folder / name).stat().st_size, sha256_of(folder / name)) for name in names}
    model = next((file for file in listing.files if file.name == listing.model), RemoteFile(listing.model))
    by_listing = listing.official and model.size is not None and model.sha256 is not None
    by_size = "size+structure" if model.size is not None else "structure"
    return ModelRecord(
        version=place.version,
        path=place.folder / listing.model,
        size=files[listing.model].size,
        sha256=files[listing.model].sha256,
        verified="listing" if by_listing else by_size,
        source_url=source,
        via=via,
        fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        files=files,
    )


def adopt(place: Place, listing: Listing, *, offline: bool) -> ModelRecord | None:
    """Accept what already stands in a version's folder without a record, if it is good.

    That is a model brought by hand or by the NGC CLI. Online it must agree with NGC's listing. Offline an
    ONNX model with the expected tensors is accepted: there is nothing to hold it against.

    Returns
    -------
    ModelRecord or None
        Its new record; None when there is nothing, or nothing good.
    """
    folder = place.folder
    if ModelRecord.load(folder) is not None:  # it has a record, and `download` found it wanting
        return None
    found = folder / listing.model if listing.model else model_in(folder)
    if found is None or not found.is_file():
        return None
    wrong = [w for f in listing.files if (folder / f.name).is_file() and (w := f.mismatch(folder / f.name))]
    if offline and wrong:
        log.warning("%s: %s; NGC cannot be asked, so the structure must do", folder, wrong[0])
        listing, wrong = Listing((RemoteFile(found.name),), found.name, official=False), []
    elif offline and not listing.files:
        listing = Listing((RemoteFile(found.name),), found.name, official=False)
    refused = structure_fault(found)
    if wrong or refused is not None:
        log.warning("%s: %s; it is fetched", folder, wrong[0] if wrong else refused)
        return None
    record = record_of(folder, place, listing, via="hand", source="brought by hand")
    try:
        record.save(folder)
    except OSError as error:
        log.info("no record could be written into %s: %s", folder, error.strerror)
    log.info("%s was already here and is good (%s)", record.path, record.verified)
    return record
