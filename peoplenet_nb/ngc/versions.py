"""The versions of PeopleNet that are known without asking NGC.

Any other version of NGC's may be named as well. These are only the ones whose files can be fetched, by size
and structure, when NGC's listing cannot be had.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from peoplenet_nb.errors import DownloadError
from peoplenet_nb.ngc.errors import CATALOG, MODEL, ROWS


@dataclass(frozen=True)
class KnownVersion:
    """A version whose files are known without asking.

    Attributes
    ----------
    model : str
        Name of its ``.onnx`` file.
    files : Mapping[str, int or None]
        Its files and, where known, their sizes in bytes.
    about : str
        One line for people who choose.
    """

    model: str
    files: Mapping[str, int | None]
    about: str


def _only(model: str, about: str) -> KnownVersion:
    return KnownVersion(model, {model: None, "labels.txt": None}, about)


DEFAULT_VERSION = "pruned_quantized_decrypted_v2.3.4"
_INT8, _FULL = "resnet34_peoplenet_int8", "resnet34_peoplenet.onnx"

VERSIONS: dict[str, KnownVersion] = {
    DEFAULT_VERSION: KnownVersion(
        f"{_INT8}.onnx",
        {f"{_INT8}.onnx": 8_788_899, f"{_INT8}.txt": 16_678, "nvinfer_config.txt": 207, "labels.txt": 16},
        "pruned, 2.18 M parameters, 8.8 MB: the default",
    ),
    "pruned_quantized_decrypted_v2.3.3": _only(f"{_INT8}.onnx", "pruned, the release before the default"),
    "deployable_quantized_onnx_v2.6.3": _only(_FULL, "not pruned, about 85 MB"),
    "deployable_quantized_onnx_v2.6.2": _only(_FULL, "not pruned, about 85 MB"),
}


def checked_version(version: str) -> str:
    """Return a version's bare name; ``nvidia/tao/peoplenet:<version>`` is understood too.

    Raises
    ------
    DownloadError
        Another model, or characters that no version has.
    """
    model, colon, name = version.strip().rpartition(":")
    if colon and model not in (MODEL, "peoplenet"):
        what, next_step = ROWS["not found"]
        raise DownloadError(what, seen=version, next_step=next_step)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", name):
        raise DownloadError(
            "That is not the name of a version",
            seen=version,
            next_step=f"Known ones: {', '.join(VERSIONS)}; all of them: {CATALOG}.",
        )
    return name
