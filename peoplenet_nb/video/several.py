"""Runs over several sources, one after the other; one that fails does not stop the others."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import DeviceError, InstallationError, ModelError, SettingsError, SourceError
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.paths import outputs_dir
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.sources.names import folder_name, unique_names
from peoplenet_nb.sources.stills import videos_in
from peoplenet_nb.urls import hide_secrets, hide_secrets_in
from peoplenet_nb.video.checks import before_loading, run_path
from peoplenet_nb.video.result import RunResult
from peoplenet_nb.video.running import run

logger: logging.Logger = logging.getLogger(__name__)

# What is wrong with the request and would be wrong with every source.
COMMON = (SettingsError, DeviceError, ModelError, InstallationError)
_EARLY = ("keyframes", "keep", "resume", "overwrite")  # what `before_loading` looks at


@dataclass(frozen=True)
class Failure:
    """A source that was not run to its end, and why."""

    source: str  #: what was asked for, without its secrets
    error: Exception


def run_all(
    sources: Iterable[str | Path],
    model: PeopleNet | Callable[[], PeopleNet] | None = None,
    settings: Settings | None = None,
    output: str | Path | None = None,
    *,
    every: int = 1,
    frames: int | None = None,
    start: int = 0,
    decoder: str = "cpu",
    progress: bool = True,
    live: bool = False,
    seconds: float | None = None,
    buffer: str = "drop_oldest",
    **options: Any,
) -> Iterator[RunResult | Failure]:
    """Run a model over several sources, each into a folder of its own.

    All sources are opened before the first one runs, so that each has its own folder whatever the others are called:
    ``a/f.mp4`` and ``b/f.mp4`` go to ``f`` and ``f-2``.

    Parameters
    ----------
    sources : iterable of str or Path
        What `peoplenet_nb.sources.open_source` takes, and folders of videos, each of which is a source.
    model : PeopleNet or callable, optional
        The network, or what loads it: that is called before the first source that can be run.
    settings, output, every, frames, start, progress
        As in `peoplenet_nb.video.run`.
    decoder, live, seconds, buffer
        As in `open_source`.
    **options
        What else `peoplenet_nb.video.run` takes, but ``name``.

    Yields
    ------
    RunResult or Failure
        For each source, in order.

    Raises
    ------
    SettingsError, DeviceError, ModelError, InstallationError
        What is wrong for all sources.
    RunInterrupted
        After Ctrl-C, which ends the run of a live stream as its time being up does: the next source follows.
    """
    opened: list[tuple[str, Source | Failure]] = []
    for spec in (one for given in sources for one in _expanded(given)):
        shown = hide_secrets(str(spec))
        try:
            source = open_source(
                spec,
                every=every,
                frames=frames,
                start=start,
                progress=progress,
                decoder=decoder,
                live=live,
                seconds=seconds,
                buffer=buffer,
            )
            opened.append((source.info.stem, source))
        except SourceError as error:
            opened.append((folder_name(Path(shown).stem), Failure(shown, error)))
    names = unique_names([(stem, "") for stem, _ in opened])
    for name, (_, source_or_failure) in zip(names, opened, strict=True):
        if isinstance(source_or_failure, Failure):
            yield source_or_failure
            continue
        try:
            if callable(model):
                early = {option: options[option] for option in _EARLY if option in options}
                before_loading(source_or_failure, run_path(output or outputs_dir(), name), **early)
                model = model()
            yield run(source_or_failure, model, settings, output, name=name, progress=progress, **options)
        except COMMON:
            raise
        except Exception as error:
            told = hide_secrets_in(traceback.format_exc(), source_or_failure.opened)
            logger.info("%s failed: %s", source_or_failure.info.spec, told)
            yield Failure(source_or_failure.info.spec, error)


def _expanded(spec: str | Path) -> list[str | Path]:
    """Return the videos of a folder of videos, else the source itself."""
    try:
        folder = Path(spec).expanduser()
        return [*videos_in(folder)] or [spec] if folder.is_dir() else [spec]
    except (OSError, RuntimeError, ValueError):  # opening it says what is wrong
        return [spec]
