"""The record beside a downloaded model: which version, from where, and how it was verified.

It is also the proof: a folder whose files still have the recorded sizes and hashes needs no network at all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peoplenet_nb.files import read_text, sha256_of, write_text
from peoplenet_nb.html_tables import note, pairs

RECORD_NAME = "peoplenet-nb-record.json"
_TEXTS = ("version", "sha256", "verified", "source_url", "via", "fetched_at")

log: logging.Logger = logging.getLogger(__name__)


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object that a text from outside holds, None when it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


@dataclass(frozen=True)
class FileEntry:
    """Size in bytes and hexadecimal SHA-256 of one file."""

    size: int
    sha256: str


@dataclass(frozen=True)
class ModelRecord:
    """Where a model on disk came from, and how it was verified.

    ``verified`` is "listing" (size and SHA-256 of NGC's listing), "size+structure" (a known size and an ONNX model
    with the expected tensors) or "structure". The structure is checked in every case.
    """

    version: str
    path: Path  # the .onnx file
    size: int  # bytes
    sha256: str  # hexadecimal
    verified: str
    source_url: str  # without query
    via: str  # "http", "cli" or, for files that were already there, "hand"
    fetched_at: str  # UTC, ISO 8601
    files: Mapping[str, FileEntry]  # every file that came, by its path within the folder

    def _repr_html_(self) -> str:
        facts: list[tuple[str, object]] = [
            ("model", self.path),
            ("size", f"{self.size:,} bytes"),
            ("sha256", self.sha256),
            ("version", self.version),
            ("verified by", self.verified),
            ("came from", f"{self.source_url} ({self.via}, {self.fetched_at})"),
            ("files", ", ".join(f"{name} ({entry.size:,})" for name, entry in self.files.items())),
        ]
        return pairs(facts) + note("PeopleNet is here, whole and readable.", "ok")

    def save(self, folder: Path) -> None:
        """Write the record into a folder; paths in it are relative, so the folder may be moved."""
        data = asdict(self) | {"path": self.path.name}
        write_text(folder / RECORD_NAME, json.dumps(data, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> ModelRecord | None:
        """Read a folder's record; None when there is none or it cannot be understood."""
        try:
            data = json_object(read_text(folder / RECORD_NAME)) or {}
            files = {name: FileEntry(int(e["size"]), str(e["sha256"])) for name, e in data["files"].items()}
            texts = {key: str(data[key]) for key in _TEXTS}
            return cls(path=folder / str(data["path"]), size=int(data["size"]), files=files, **texts)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("%s cannot be understood (%s)", folder / RECORD_NAME, type(error).__name__)
            return None

    def fault(self) -> str:
        """Return which file no longer is what was recorded, "" when all are."""
        for name, entry in self.files.items():
            path = self.path.parent / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != entry.size or sha256_of(path) != entry.sha256:
                return f"{name} has changed since it was fetched"
        return "" if self.path.name in self.files else f"{self.path.name} is not in the record"
