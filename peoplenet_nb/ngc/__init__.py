"""PeopleNet from NVIDIA's catalogue (NGC): fetched, verified, moved into place, recorded.

`download` fetches a version as guest, with either kind of API key, or through the NGC CLI; `find_model`
finds what is already on this machine. What needs `requests` is imported when something is really fetched, so
that finding a model stays quick.
"""

from __future__ import annotations

from peoplenet_nb.ngc.download import download
from peoplenet_nb.ngc.errors import Unreachable
from peoplenet_nb.ngc.find import find_model
from peoplenet_nb.ngc.listing import DEFAULT_VERSION, VERSIONS, KnownVersion
from peoplenet_nb.ngc.record import RECORD_NAME, FileEntry, ModelRecord

__all__ = [
    "DEFAULT_VERSION",
    "RECORD_NAME",
    "VERSIONS",
    "FileEntry",
    "KnownVersion",
    "ModelRecord",
    "Unreachable",
    "download",
    "find_model",
]
