"""Write ``docs/licences.md``: the licence of every package that set-up installs for a user, as its own metadata says.

Run it as ``make licences``, in the environment that set-up made. What is named at the top is what a lawyer asks about
first: copyleft, and whatever excludes commercial use.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "licences.md"
COPYLEFT = re.compile(r"GPL|MPL|Mozilla|EPL|EUPL|CeCILL", re.IGNORECASE)
CLOSED = re.compile(r"proprietary|non-?commercial|NVIDIA|CC-BY-NC", re.IGNORECASE)
# Wheels that carry libraries under another licence than their own metadata names.
CARRIED = {
    "av": "the wheel carries FFmpeg with x264 and x265 (GPL-2.0-or-later), so the GPL holds for the whole",
    "opencv-python": "the wheel carries FFmpeg (LGPL-2.1) and Qt (LGPL-3.0)",
}
HEAD = """# Licences

Written by `make licences` from the metadata of the packages that set-up installs for the CPU (`constraints/cpu.txt`,
without what only tests need). The code of this project is under the Apache License 2.0. PeopleNet is NVIDIA's, under
NVIDIA's model licence, and is fetched, never shipped. With CUDA, ONNX Runtime's wheels bring NVIDIA's CUDA and cuDNN
under NVIDIA's own licences (proprietary, redistributable as wheels).

A bill of materials of an environment as CycloneDX: `make sbom`.

"""


def packages() -> list[str]:
    """Return the names of what set-up installs for a user."""
    lines = (ROOT / "constraints" / "cpu.txt").read_text(encoding="utf-8").splitlines()
    pins = [
        Requirement(line.partition("  #")[0]) for line in lines if not re.search(r"# (test|optional)$", line)
    ]
    return sorted({pin.name for pin in pins if pin.marker is None or pin.marker.evaluate()}, key=str.lower)


def licence(name: str) -> str:
    """Return a package's licence: the SPDX expression, else the classifiers, else the first line of the field."""
    about = metadata.metadata(name)
    classifiers = [
        line.rpartition(" :: ")[2] for line in about.get_all("Classifier", []) if "License ::" in line
    ]
    first = (about.get("License") or "").strip().partition("\n")[0]
    return about.get("License-Expression") or "; ".join(classifiers) or first[:60] or "not named"


def main() -> None:
    """Write the list."""
    found = {name: licence(name) for name in packages()}
    named = [
        f"- **{name}**: {text}"
        for name, text in found.items()
        if COPYLEFT.search(text) or CLOSED.search(text)
    ]
    named += [f"- **{name}**: {text}" for name, text in CARRIED.items() if name in found]
    rows = [f"| {name} | {metadata.version(name)} | {text} |" for name, text in found.items()]
    table = "\n".join(["| package | version | licence |", "|---|---|---|", *rows])
    top = "## Copyleft, and what is not free\n\n" + "\n".join(named)
    TARGET.write_text(f"{HEAD}{top}\n\n## All {len(found)}\n\n{table}\n", encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(found)} packages, {len(named)} named at the top")


if __name__ == "__main__":
    main()
