"""Settings from the files of other programs: `import_settings`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.export.from_deepstream import from_nvinfer, ini_groups, yaml_groups
from peoplenet_nb.export.from_others import of_command, of_yaml
from peoplenet_nb.export.from_prototext import Read, of_message
from peoplenet_nb.export.prototext import read_prototext
from peoplenet_nb.export.targets import Target
from peoplenet_nb.files import read_text, read_yaml
from peoplenet_nb.html_tables import note
from peoplenet_nb.settings import PEOPLENET_LABELS, Settings

_FORMATS = (
    "nvinfer's configuration (INI, YAML), nvinferserver's, TAO's inference or training specification, the Triton "
    "client's clustering, Savant's module, Isaac ROS's parameters and jetson-inference's command line are read."
)


@dataclass(frozen=True)
class Imported:
    """Settings that were read, and what of the file they cannot hold."""

    target: Target  # whose file it was
    settings: Settings  # what the program runs with
    notes: tuple[str, ...]  # what cannot be held, and what a reader would not expect

    def _repr_html_(self) -> str:
        return "".join(note(text) for text in self.notes) + self.settings._repr_html_()


def import_settings(source: str | Path, labels: Sequence[str] = PEOPLENET_LABELS) -> Imported:
    """Read the settings that another program runs with.

    Parameters
    ----------
    source : str or Path
        A file of any of the programs that `export_settings` writes for; or jetson-inference's command itself, which
        begins with ``detectnet``.
    labels : sequence of str
        The model's classes, in its order.

    Returns
    -------
    Imported

    Raises
    ------
    SettingsError
        When there is no such file, it is none of these, or says something that is not understood: the key is named.

    Examples
    --------
    >>> import_settings("detectnet --confidence=0.4").settings.default.threshold
    0.4
    """
    if not labels:
        raise SettingsError("A model has at least one class", seen=labels, next_step="give them: labels=(…).")
    try:
        if isinstance(source, str) and re.match(r"\s*\S*detectnet\S*\s+-", source):
            target, settings, notes = of_command(source, "jetson-inference")
        else:
            target, settings, notes = _read(Path(source).expanduser(), labels)
    except FileNotFoundError:
        raise SettingsError("No such configuration", seen=source, next_step="check the path.") from None
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: the home of nobody
        raise SettingsError(
            "The configuration cannot be read", seen=f"{source}: {error}", next_step=_FORMATS
        ) from error
    return Imported(target, settings, tuple(notes))


def _read(path: Path, labels: Sequence[str]) -> Read:
    text = read_text(path)
    if re.search(r"^\s*\[[\w-]+\]", text, re.MULTILINE) and "=" in text:
        return Target.DEEPSTREAM, *from_nvinfer(ini_groups(text), labels, path.name, yaml=False)
    if re.search(r"^\s*\S*detectnet\S*\s.*--", text, re.MULTILINE):
        return of_command(text, path.name)
    if re.search(r"(classwise_\w+_config|target_class_config|infer_config)\s*:?\s*[{<]", text):
        return of_message(read_prototext(path), labels, path.name)
    if not re.search(r"^\s*[\w/*]+:", text, re.MULTILINE):
        raise ValueError("it is of no program that is known here")
    data = read_yaml(path)
    if isinstance(data, Mapping) and any(str(key).startswith(("property", "class-attrs")) for key in data):
        return Target.DEEPSTREAM_YAML, *from_nvinfer(yaml_groups(data), labels, path.name, yaml=True)
    if (found := of_yaml(data, labels, path.name)) is None:
        raise ValueError("it is of no program that is known here")
    return found
