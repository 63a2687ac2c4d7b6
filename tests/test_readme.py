"""What the README promises: its ten lines run as printed, and its links lead somewhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import pytest

import peoplenet_nb as pn

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "README.ko.md", "CONTRIBUTING.md", "docs/architecture.md")


def test_the_ten_lines_run_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"## Ten lines\n\n```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    frame = next(iter(pn.open_source(pn.demo_clip(), start=100, frames=1)))
    cv2.imwrite("street.jpg", frame.image)
    shutil.copy(pn.demo_clip(), "street.mp4")
    # All but the last line's 300 frames: a run of a few says as much.
    monkeypatch.setitem(pn.run.__kwdefaults__, "frames", 5)
    names: dict[str, object] = {}
    exec(compile(lines, "README.md", "exec"), names)
    assert len(names["found"]) > 5
    assert (tmp_path / "out.jpg").is_file()
    assert {p.name for p in (tmp_path / "out" / "street").iterdir()} >= {
        "video.mp4",
        "detections.csv",
        "summary.json",
    }


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_files_are_there(document: str) -> None:
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://)([^)#]+)", text)
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_files_that_the_architecture_names_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/.])((?:\w+/)*\w+\.(?:py|js))\b", text)) - {"name.py"}
    named |= set(re.findall(r"`((?:\w+/)+)`", text))
    package = ROOT / "peoplenet_nb"
    roots = (ROOT, package, package / "tuner", package / "tuner" / "static", ROOT / "tests")
    assert len(named) > 30
    assert [name for name in sorted(named) if not any((root / name).exists() for root in roots)] == []
