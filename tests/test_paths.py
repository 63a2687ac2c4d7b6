"""Where things live."""

from __future__ import annotations

from pathlib import Path

import pytest

from peoplenet_nb import paths


def test_home_is_named_then_volume_then_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path / "mine"))
    assert paths.home() == tmp_path / "mine"
    monkeypatch.delenv("PEOPLENET_HOME")
    monkeypatch.setattr(paths, "VOLUME", tmp_path)
    assert paths.home() == tmp_path / "peoplenet"
    monkeypatch.setattr(paths, "VOLUME", tmp_path / "none")
    checkout = Path(paths.__file__).resolve().parent.parent
    assert paths.home() == checkout / "workspace"
    assert paths.models_dir() == checkout / "workspace" / "models"
    assert paths.outputs_dir().parent == paths.cache_dir().parent == checkout / "workspace"
