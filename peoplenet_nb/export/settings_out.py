"""Settings as the files of another program: `export_settings`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from peoplenet_nb.cells import open_grids
from peoplenet_nb.errors import SettingsError, choose
from peoplenet_nb.export import deepstream, nvidia, others
from peoplenet_nb.export.difference import MOST_FRAMES, Difference, expected_difference
from peoplenet_nb.export.nearest import nearest_settings
from peoplenet_nb.export.targets import ABILITIES, NetworkFile, Target
from peoplenet_nb.files import refuse_existing, write_bytes, writing
from peoplenet_nb.fit import NARROW, FitMode
from peoplenet_nb.grids import Grids
from peoplenet_nb.html_tables import fold, note
from peoplenet_nb.settings import Settings

_Maker = Callable[[Settings, NetworkFile, Sequence[str]], Mapping[str, str]]
#: What writes a target's files, and what does not transfer: lines ``when | text``.
_MAKERS: Mapping[Target, tuple[_Maker, str]] = {
    Target.DEEPSTREAM: (deepstream.ini_files, deepstream.NOTES),
    Target.DEEPSTREAM_YAML: (deepstream.yaml_files, deepstream.NOTES),
    Target.NVINFERSERVER: (nvidia.nvinferserver_files, nvidia.NVINFERSERVER_NOTES),
    Target.SAVANT: (others.savant_files, others.SAVANT_NOTES),
    Target.TAO: (nvidia.tao_files, nvidia.TAO_NOTES),
    Target.TRITON: (nvidia.triton_files, nvidia.TRITON_NOTES),
    Target.JETSON: (others.jetson_files, others.JETSON_NOTES),
    Target.ISAAC: (others.isaac_files, others.ISAAC_NOTES),
}
_WITH_LABELS = (Target.DEEPSTREAM, Target.DEEPSTREAM_YAML, Target.NVINFERSERVER, Target.JETSON)


@dataclass(frozen=True)
class Exported:
    """The files for a target, and what the reader must know of them."""

    target: Target
    settings: Settings  # what they say: the settings that were given, or the nearest
    files: Mapping[str, str | bytes]  # contents by name
    notes: tuple[str, ...]  # what does not transfer, and why
    changes: tuple[str, ...]  # what the nearest settings differ in
    difference: Difference | None  # boxes that are lost and gained there, where a run was given

    def write(self, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write the files to a folder and return their paths.

        Raises
        ------
        OutputError
            When a file is there already and ``overwrite`` is not set, or nothing can be written.
        """
        folder = Path(folder).expanduser()
        files = {folder / name: content for name, content in self.files.items()}
        with writing(folder):
            for path in () if overwrite else files:
                refuse_existing(path, "A file of the export")
        for path, content in files.items():
            write_bytes(path, content if isinstance(content, bytes) else content.encode())
        return list(files)

    def row(self) -> dict[str, object]:
        """Return what changes there as a row of a table: the program, what is lost and new, and why."""
        found = self.difference
        counts = {} if found is None else {"lost": found.lost.total(), "new": found.gained.total()}
        return {
            "program": str(self.target),
            **counts,
            "what had to change": "; ".join(self.changes) or "nothing",
        }

    def __str__(self) -> str:
        lines = [f"for {self.target}: {', '.join(self.files)}"]
        lines += [f"  changed: {text}" for text in self.changes]
        return "\n".join([*lines, *(f"  note: {text}" for text in self.notes)])

    def _repr_html_(self) -> str:
        texts = [(name, text) for name, text in self.files.items() if isinstance(text, str)]
        parts = [fold(name, f"<pre>{escape(text)}</pre>") for name, text in texts]
        return "".join([*map(note, (*self.changes, *self.notes)), *parts])


def export_settings(
    settings: Settings,
    target: str | Target,
    *,
    model: str | Path | NetworkFile | None = None,
    nearest: bool = False,
    run: str | Path | Sequence[Grids] | None = None,
) -> Exported:
    """Return settings as the files that another program takes as they are.

    Parameters
    ----------
    settings : Settings
        Thresholds and clustering.
    target : str or Target
        ``deepstream``, ``deepstream-yaml``, ``nvinferserver``, ``savant``, ``tao``, ``triton``, ``jetson``, ``isaac``.
    model : str or Path or NetworkFile, optional
        The model that the files name, with its classes and tensors. Left out: PeopleNet, beside the files.
    nearest : bool
        Take the nearest settings where the program cannot do what these ask for.
    run : str or Path or sequence of Grids, optional
        A run with saved grids: the program's rules are run on it, and the boxes that are lost and gained are noted.

    Returns
    -------
    Exported
        The files, to be written with ``write(folder)``, and what does not transfer.

    Raises
    ------
    SettingsError
        When the program cannot do it, with the nearest that it can; for an unknown target.
    ModelError
        When the model is none, or has no boxes.
    GridsError
        When the run has no saved grids.

    Examples
    --------
    >>> import peoplenet_nb as pn
    >>> pn.export_settings(pn.preset("deepstream"), "deepstream").write("deepstream")  # doctest: +SKIP
    """
    target = choose(Target, target, "target")
    network = _network(model)
    if bad := [text for text in (network.path, *network.labels) if re.search(r"[\x00-\x1f]", text)]:
        what = "A path or class name with a line break cannot stand in such a file"
        raise SettingsError(what, seen=repr(bad[0]), next_step="rename it.")
    shape, ran = "", settings.fit
    if settings.fit is FitMode.AUTO:
        ran = _fit_of(run) if run is not None else FitMode.STRETCH
        settings, shape = _for_one_shape(settings, ran if run is not None else None, target)
    near, changes = nearest_settings(settings, target, network.labels)
    if changes and not nearest:
        raise SettingsError(
            f"{target} cannot do what these settings ask for",
            seen="; ".join(changes),
            next_step="take the nearest that it can, which is named here: --nearest (nearest=True).",
        )
    make, known = _MAKERS[target]
    notes, difference = _worth_saying(known, near, network.labels), None
    if run is not None:
        if near.fit is not ran:
            measured = f"Not measured on a run: its frames have the fit {ran}, those there {near.fit}."
        elif near.tiles != settings.tiles:
            measured = "Not measured on a run: it has what parts of frames gave, and there are none."
        else:
            difference = expected_difference(settings, near, target, run)
            measured = f"Measured on a run: {difference}."
        notes = (measured, *notes)
    fit = f"Thresholds are for frames that are {near.fit}ed to {network.size[0]}x{network.size[1]}.{shape}"
    name = re.sub(r"[^ -~]", "?", settings.preset)
    comments = [
        f"PeopleNet for {target}, settings '{name}', written by peoplenet-nb export.",
        fit,
        *(f"Changed: {text}." for text in changes),
        "What does not transfer:",
        *(f"- {text}" for text in notes),
    ]
    files: dict[str, str | bytes] = dict(make(near, network, comments))
    if target in _WITH_LABELS:
        files["labels.txt"] = "".join(f"{label}\n" for label in network.labels)
    if target is Target.JETSON and (path := Path(network.path)).is_file():
        files[f"{path.name.removesuffix('.onnx')}_b1.onnx"] = others.fixed_batch(path)
    return Exported(target, near, files, (fit, *notes), changes, difference)


def _worth_saying(notes: str, settings: Settings, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the notes that these settings call for: of lines ``when | text``, by clustering, top_k and sizes."""
    says = {
        str(settings.clustering): True,
        "top_k": any(settings.own(label, "top_k") for label in labels),
        "sizes": any(settings.own(label, name) for label in labels for name in deepstream.PIXELS.values()),
        "letterbox": settings.fit is FitMode.LETTERBOX,
        "region": settings.fit is FitMode.LETTERBOX and not deepstream.crops(settings),
    }
    said = {when for when, holds in says.items() if holds}
    lines = (line.partition("|") for line in notes.strip().splitlines())
    return tuple(text.strip() for when, _, text in lines if not when.strip() or said & set(when.split()))


def _for_one_shape(settings: Settings, ran: FitMode | None, target: Target) -> tuple[Settings, str]:
    """Return settings with the fit that a run had, else with stretch, and why: the programs know one fit for all."""
    if not ABILITIES[target].letterbox:
        return settings.replace(fit=FitMode.STRETCH), " It knows no other way."
    if ran is None:
        return settings.replace(fit=FitMode.STRETCH), (
            f" With the fit auto frames narrower than {NARROW:g} to 1 are letterboxed: for those export with "
            "--fit letterbox (settings.replace(fit='letterbox')), or name a run of them."
        )
    return settings.for_fit(ran), " So were those of the run."


def _fit_of(run: str | Path | Sequence[Grids]) -> FitMode:
    """Return how a run's frames were resized."""
    saved = open_grids(run) if isinstance(run, str | Path) else run
    modes = {saved[i].fit.mode for i in range(0, len(saved), -(-len(saved) // MOST_FRAMES) or 1)}
    if len(modes) > 1:
        raise SettingsError(
            "The run has frames of both kinds, wide and narrow, and the program resizes all in one way",
            seen="fit: auto",
            next_step="choose one with --fit stretch or --fit letterbox (settings.replace(fit=...)).",
        )
    return modes.pop() if modes else FitMode.STRETCH


def _network(model: str | Path | NetworkFile | None) -> NetworkFile:
    """Return what the files say of a model."""
    if model is None or isinstance(model, NetworkFile):
        return model or NetworkFile()
    from peoplenet_nb.errors import ModelError
    from peoplenet_nb.onnxfile import read_model_file

    file = read_model_file(Path(model).expanduser())
    if file.boxes is None or file.channels_last:
        raise ModelError(
            "These programs take a DetectNet_v2 model with boxes and an input of (N, 3, H, W)",
            seen=file.path,
            next_step="name the model that was downloaded, not a variant of it.",
        )
    size = int(file.input.shape[3]), int(file.input.shape[2])
    tensors = file.input.name, file.coverage.name, file.boxes.name
    return NetworkFile(file.path.resolve().as_posix(), file.labels, size, file.stride, *tensors)
