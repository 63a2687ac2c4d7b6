"""What a batch was asked to do: the options that all of its videos share, kept with its results.

A second start, and every other machine on the same volume, must ask for the same; the list of videos may grow.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import OutputError, PeopleNetError
from peoplenet_nb.files import read_json, write_new
from peoplenet_nb.fleet.claims import STATE
from peoplenet_nb.network.resolve import resolve_model
from peoplenet_nb.onnxfile import read_model_file
from peoplenet_nb.settings import Settings


@dataclass(frozen=True)
class Request:
    """The options of a batch, as JSON takes them; each as in `peoplenet_nb.run` and `PeopleNet.load`."""

    model: str
    model_sha256: str
    device: str
    precision: str
    settings: dict[str, Any]
    every: int
    frames: int | None
    start: int
    video: bool
    save_grids: bool
    keyframes: str
    batch: int | None
    decoder: str
    encoder: str
    standin: bool = False  #: whether the model is the stand-in of the demo clip

    @classmethod
    def of(cls, model: str | Path | None, settings: Settings, **options: Any) -> Request:
        """Return the request for a model, which is looked for now, so that all workers take the same."""
        file = read_model_file(resolve_model(model or None))
        settings_data = settings.to_dict()
        return cls(str(file.path), file.sha256, settings=settings_data, standin=file.standin, **options)

    @classmethod
    def load(cls, output: Path) -> Request:
        """Return the request of the batch in a folder.

        Raises
        ------
        OutputError
            When there is none, or it cannot be read.
        """
        path = output / STATE / "request.json"
        try:
            return cls(**read_json(path))
        except TypeError as error:
            raise OutputError(
                "This is not the output folder of a batch, or it cannot be read",
                seen=f"{path}: {error}",
                next_step="name the folder that peoplenet-nb batch wrote; all machines must see the same volume.",
            ) from error

    def keep(self, output: Path) -> None:
        """Write the request, or see that it is the one that is there.

        Raises
        ------
        OutputError
            When the folder holds a batch with other options.
        """
        text = json.dumps(asdict(self), indent=1)
        if write_new(output / STATE / "request.json", text.encode()):
            return
        mine, there = json.loads(text), asdict(Request.load(output))
        # Machines may differ in these; what the model is, its hash tells.
        for what in ("model", "device", "encoder", "decoder", "batch", "standin"):
            mine.pop(what), there.pop(what)
        changed = [name for name in mine if mine[name] != there[name]]
        if changed:
            seen = "; ".join(
                f"{name} was {str(there[name])[:80]} and is {str(mine[name])[:80]}" for name in changed
            )
            raise OutputError(
                "The folder holds a batch with other options",
                seen=f"{output}: {seen}",
                next_step="ask for the same, or choose another --output.",
            )


def error_of(data: dict[str, str]) -> PeopleNetError:
    """Return the error that `error_data` described, as its own class."""
    from peoplenet_nb import errors

    kind = getattr(errors, data.get("kind", ""), PeopleNetError)
    if not (isinstance(kind, type) and issubclass(kind, PeopleNetError)):
        kind = PeopleNetError
    return kind(data.get("what", ""), seen=data.get("seen"), next_step=data.get("next", ""))


def error_data(error: BaseException) -> dict[str, str]:
    """Return what an error says, as JSON takes it."""
    if isinstance(error, PeopleNetError):
        seen = "" if error.seen is None else str(error.seen)
        return {"kind": type(error).__name__, "what": error.what, "seen": seen, "next": error.next_step}
    return {
        "kind": "PeopleNetError",
        "what": "A worker met an error that was not expected",
        "seen": repr(error),
    }
