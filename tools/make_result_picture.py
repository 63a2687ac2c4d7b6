"""Make the README's first picture: one frame of the real video, as coverage cells and as decoded boxes.

    PEOPLENET_SHARED=... python tools/make_result_picture.py [--frame 360] [--output docs/images/result.jpg]

Left, what a reader of ``outputs[0]`` alone can draw: the cells whose coverage passes 0.5. Right, the boxes that
the second output gives for the same frame.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import numpy as np

from peoplenet_nb.decoding import decode
from peoplenet_nb.draw import colour_of, draw_detections
from peoplenet_nb.grids import Grids
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import preset
from peoplenet_nb.sources import open_source

SIZE = (960, 720)


def cells(frame: np.ndarray, grids: Grids, threshold: float = 0.5) -> np.ndarray:
    """Return the frame with each class's cells above the threshold drawn as the squares that they are."""
    picture = frame.copy()
    scale_x, scale_y = grids.fit.scale
    for class_id, row, col in zip(*np.nonzero(grids.coverage > threshold), strict=True):
        x, y = col * grids.stride * scale_x, row * grids.stride * scale_y
        far = (round(x + grids.stride * scale_x), round(y + grids.stride * scale_y))
        colour = colour_of(grids.labels[class_id], int(class_id))
        cv2.rectangle(picture, (round(x), round(y)), far, colour, 2, cv2.LINE_AA)
    return picture


def titled(picture: np.ndarray, title: str) -> np.ndarray:
    """Return the picture under a strip with its title."""
    strip = np.full((48, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, title, (12, 33), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2, cv2.LINE_AA)
    return np.vstack([strip, picture])


def main() -> None:
    """Make the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frame", type=int, default=360)
    parser.add_argument("--output", type=Path, default=Path("docs/images/result.jpg"))
    options = parser.parse_args()
    shared = Path(os.environ["PEOPLENET_SHARED"])
    (weights,) = (shared / "models").glob("*/*.onnx")
    model = PeopleNet.load(weights, device="cpu")
    (taken,) = open_source(str(shared / "data" / "vtest.avi"), start=options.frame, frames=1)
    frame = np.asarray(cv2.resize(taken.image, SIZE, interpolation=cv2.INTER_CUBIC), np.uint8)
    grids = model.infer(frame)
    found = decode(grids, preset("default")).detections
    both = np.hstack(
        [
            titled(cells(frame, grids), "outputs[0] alone: cells above 0.5"),
            titled(draw_detections(frame, found), "both outputs, decoded"),
        ]
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    small = cv2.resize(both, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(options.output), small, [cv2.IMWRITE_JPEG_QUALITY, 82])
    print(f"{options.output}: {options.output.stat().st_size} bytes, {found}")


if __name__ == "__main__":
    main()
