"""Render the demo clip and its ground truth into `peoplenet_nb/demo/`, where they are shipped.

For maintainers, from the checkout::

    python -m tools.standin.render            # write clip and ground truth anew
    python -m tools.standin.render --check    # is the shipped ground truth still what the renderer gives?

After writing, the average precision in `tests/test_demo.py` is to be measured again.
"""

from __future__ import annotations

import argparse
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from peoplenet_nb.demo import Truth, demo_clip, demo_truth
from tools.standin.scene import FPS, Scene
from tools.standin.truth import write_truth

DEMO_SEED = 2041
DEMO_FRAMES = 300
DEMO_SIZE = (1280, 720)
QUALITY = "27"  # x264's constant rate factor: 12 s stay below 1 MB


def demo_scene() -> Scene:
    """Return the scene that the demo clip shows; its frame k is the clip's frame k before encoding."""
    return Scene(DEMO_SEED, DEMO_SIZE, light="sun", people=13)


def write_clip(video: Path, frames: int = DEMO_FRAMES) -> None:
    """Render the first frames of the demo scene into an MP4 file, the ground truth beside it as ``.csv``."""
    import av

    scene, truths = demo_scene(), []
    with av.open(str(video), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.width, stream.height = DEMO_SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": QUALITY, "preset": "veryfast"}
        for index in range(frames):
            image, truth = scene.render(index)
            truths.append(truth)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    write_truth(video.with_suffix(".csv"), truths)


def differs(rendered: Truth, shipped: Truth) -> bool:
    """Tell whether a frame shows other objects, or the same ones elsewhere by more than a pixel."""
    return not (
        np.array_equal(rendered.track_id, shipped.track_id)
        and np.array_equal(rendered.class_id, shipped.class_id)
        and np.allclose(rendered.xyxy, shipped.xyxy, rtol=0, atol=1.0)
        and np.allclose(rendered.visibility, shipped.visibility, rtol=0, atol=0.02)
    )


def main() -> None:
    """Render, then write or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare with what is shipped; write nothing")
    if parser.parse_args().check:
        scene = demo_scene()
        others = [truth.frame for truth in demo_truth() if differs(scene.render(truth.frame)[1], truth)]
        if others:
            raise SystemExit(f"{len(others)} of {DEMO_FRAMES} frames differ, the first is {others[0]}")
        print(f"the renderer gives the ground truth of all {DEMO_FRAMES} shipped frames")
        return
    with tempfile.TemporaryDirectory(dir=demo_clip().parent) as folder:
        video = Path(folder) / demo_clip().name
        write_clip(video)
        print(f"{demo_clip()}: {DEMO_FRAMES} frames, {video.stat().st_size} bytes")
        video.with_suffix(".csv").replace(demo_clip().with_suffix(".csv"))
        video.replace(demo_clip())


if __name__ == "__main__":
    main()
