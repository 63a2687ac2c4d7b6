"""Fixtures for the tests of the NGC download: a server with one version of a small model, and the call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ngc_server import MODEL, VERSION, WEIGHTS, Fetch, Ngc
from peoplenet_nb import ngc
from peoplenet_nb.ngc import fetch as ngc_fetch


@pytest.fixture
def no_ngc_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("NGC_", "PEOPLENET_NGC")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(ngc_fetch, "_SPARE", 0)


@pytest.fixture
def server(no_ngc_environment: None) -> Iterator[Ngc]:
    with Ngc() as playing:
        playing.versions[VERSION] = {
            MODEL: WEIGHTS,
            "resnet34_peoplenet_int8.txt": b"TRT-8501-EntropyCalibration2\n" * 40,
            "nvinfer_config.txt": b"offsets=0.0;0.0;0.0\n",
            "labels.txt": b"Person\nBag\nFace\n",
        }
        yield playing


@pytest.fixture
def fetch(server: Ngc, tmp_path: Path) -> Fetch:
    def run(version: str = VERSION, **options: Any) -> ngc.ModelRecord:
        given = {"dest": tmp_path, "api": server.api, "auth": server.auth, "progress": False, "backoff": 0.0}
        return ngc.download(version, **(given | options))

    return run
