"""A batch: many videos through one network, on this machine, on several, or on a cluster of Ray's.

All that several processes and machines must agree on is in files (`peoplenet_nb.fleet.claims`), so any of them may be
killed at any moment, and the same command goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.fleet.claims import STALE_S
from peoplenet_nb.fleet.listing import list_jobs, reserve_names
from peoplenet_nb.fleet.local import Local
from peoplenet_nb.fleet.on_ray import OnRay
from peoplenet_nb.fleet.progress import Progress
from peoplenet_nb.fleet.request import Request
from peoplenet_nb.fleet.result import BatchResult
from peoplenet_nb.fleet.start import Start
from peoplenet_nb.paths import outputs_dir
from peoplenet_nb.settings import Settings, preset


def batch(
    sources: str | Path | Iterable[str | Path],
    output: str | Path | None = None,
    settings: Settings | None = None,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
    every: int = 1,
    frames: int | None = None,
    start: int = 0,
    video: bool = True,
    save_grids: bool = False,
    keyframes: str | int = "off",
    batch: int | None = None,
    decoder: str = "cpu",
    encoder: str = "auto",
    workers: int | None = None,
    tries: int = 2,
    retry: bool = False,
    on: str = "local",
    address: str | None = None,
    progress: bool = True,
    stale_s: float = STALE_S,
) -> BatchResult:
    """Run the network over many videos, each into a folder of its own; what is done already is not done again.

    Start it again after whatever ended it, with the same arguments, and the rest is done. Start it on several machines
    with the same volume, and they share the list; ``NODE_RANK`` and ``NUM_NODES`` say where in it each begins.

    Parameters
    ----------
    sources : str, Path or several of them
        Videos, folders, patterns, addresses, lists; see `peoplenet_nb.fleet.listing.list_jobs`. No live streams.
    output : str or Path, optional
        A folder ``output / NAME`` for each video, beside ``videos.csv``, ``batch.json`` and ``index.html``; left out,
        ``outputs_dir() / "batch"``.
    settings : Settings, optional
        Thresholds and clustering; left out, the default preset.
    model, device, precision
        As for `PeopleNet.load`; each worker loads it once.
    every, frames, start, video, save_grids, keyframes, batch, decoder, encoder
        As in `peoplenet_nb.run` and `open_source`.
    workers : int, optional
        Processes; left out, one for each GPU, else one for each core.
    tries : int
        A video that fails so often is put aside with its reason.
    retry : bool
        Try again what was put aside before.
    on : str
        ``local``, or ``ray``: on a cluster of Ray's, or a small one on this machine where there is no ``address``.
    address : str, optional
        Of the cluster, e.g. ``10.0.0.1:6379``, or ``auto``.
    progress : bool
        Whether to show how far it is.
    stale_s : float
        Seconds without a word after which a worker on another machine counts as dead.

    Returns
    -------
    BatchResult

    Raises
    ------
    SourceError, SettingsError, ModelError, DeviceError, InstallationError
        What is wrong with the request, or with every video.
    OutputError
        When the folder cannot be written, is full, or holds a batch with other options.
    KeyboardInterrupt
        After Ctrl-C, once the workers have ended their parts.
    """
    if tries < 1 or on not in ("local", "ray") or (address and on != "ray"):
        raise SettingsError(
            "tries is at least 1, on is 'local' or 'ray', and an address is for Ray",
            seen=f"tries={tries}, on={on!r}, address={address!r}",
            next_step="see peoplenet-nb batch --help.",
        )
    folder = Path(output or outputs_dir() / "batch").expanduser().absolute()
    request = Request.of(
        model,
        settings or preset(),
        device=device,
        precision=precision,
        every=every,
        frames=frames,
        start=start,
        video=video,
        save_grids=save_grids,
        keyframes=str(keyframes),
        batch=batch,
        decoder=decoder,
        encoder=encoder,
    )
    jobs = list_jobs([sources] if isinstance(sources, str | Path) else sources)
    request.keep(folder)
    reserve_names(jobs, folder)
    run = Start(folder, request, jobs, tries, stale_s)
    run.forget_changed(retry=retry)
    try:
        if run.open:
            given = folder, run.data(), device, workers
            place = OnRay(*given, address) if on == "ray" else Local(*given)
            try:
                run.go(place, Progress(progress))
            finally:
                place.close()
        return run.finish()
    finally:
        run.close()
