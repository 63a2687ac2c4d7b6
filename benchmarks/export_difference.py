"""What other programs find with exported settings: boxes lost and gained, their rules run on the same grids.

    PEOPLENET_SHARED=... python benchmarks/export_difference.py [--write]

Every 8th frame of vtest.avi through the real network once, and the demo clip through the stand-in; then every preset,
exported to every program as the nearest that it can take, decoded there and here.
"""

from __future__ import annotations

import argparse

from results_file import shared_folder, show_section, table

from peoplenet_nb.demo import STANDIN, demo_clip
from peoplenet_nb.export import Target, expected_difference, export_settings
from peoplenet_nb.grids import Grids
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import PRESETS, preset
from peoplenet_nb.sources import open_source


def rows(frames: list[Grids]) -> list[list[object]]:
    made = []
    for name in PRESETS:
        for target in Target:
            if target is Target.DEEPSTREAM_YAML:  # says the same
                continue
            here = preset(name, "stretch")
            exported = export_settings(here, target, nearest=True)
            found = expected_difference(here, exported.settings, target, frames)
            counts = (found.same.total() + found.lost.total(), found.lost.total(), found.gained.total())
            made.append(
                [name, target, "nearest" if exported.changes else "as it is", *counts, f"{found.iou:.3f}"]
            )
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    options = parser.parse_args()
    shared = shared_folder()
    (weights,) = (shared / "models").glob("*/*.onnx")
    clips = {
        "vtest.avi, every 8th frame, PeopleNet": (weights, shared / "data" / "vtest.avi", 8),
        "demo clip, every 8th frame, stand-in": (STANDIN, demo_clip(), 8),
    }
    lines = [
        "Boxes of a preset here, how many of them a program loses and gains with the exported settings (two boxes",
        "are one from an IoU of 0.5 on), and the mean IoU of those that both find. The program's own rules are run on",
        "the same grids.",
    ]
    columns = ["preset", "program", "settings", "boxes here", "lost there", "new there", "mean IoU"]
    for title, (file, video, every) in clips.items():
        model = PeopleNet.load(file, "cpu", "stretch")
        frames = [model.infer(frame.image) for frame in open_source(str(video), every=every, progress=False)]
        lines += [
            "",
            f"{title} ({len(frames)} frames, all classes, stretched):",
            "",
            *table(columns, rows(frames)),
        ]
    show_section("Exported settings: boxes lost and gained", lines, write=options.write)


if __name__ == "__main__":
    main()
