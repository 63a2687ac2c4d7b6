"""Train the stand-in network of the demo and write it with its training record.

For maintainers: needs PyTorch 2.13.0, which the package itself does not. From the checkout::

    python -m venv train && train/bin/pip install torch==2.13.0 && train/bin/pip install -e '.[cpu]'
    train/bin/python -m tools.standin.train --scenes 320 --frames 8 --steps 1800

It renders the training scenes once into ``cache_dir()/standin``, trains on the CPU, measures the exported file
with ONNX Runtime on scenes held out from training, and writes ``peoplenet_nb/demo/standin.onnx`` and
``standin.json`` unless what is there measures better (``--force`` writes anyway).

The file is judged as users meet it, through ONNX Runtime and the package's own decode, and is refused when it
differs from PyTorch by more than 1e-4.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import platform
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own habit
from torch.optim.swa_utils import AveragedModel

from peoplenet_nb.decoding import decode
from peoplenet_nb.demo import STANDIN, STANDIN_RECORD
from peoplenet_nb.metrics import precision_recall
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.paths import cache_dir
from peoplenet_nb.settings import PEOPLENET_LABELS, ClassSettings, Settings
from tools.standin.data import (
    CLASSES,
    CROP_HEIGHT,
    CROP_WIDTH,
    FIRST_SEED,
    HEIGHT,
    STRIDE,
    WIDTH,
    augment,
    render_pool,
    targets,
)
from tools.standin.measure import HELD_OUT_SEEDS, held_out_frames, precision_on
from tools.standin.net import Standin, export, folded
from tools.standin.scene import Scene

BARS = {"person": 0.85, "bag": 0.70, "face": 0.70}
PEAK_RATE = 4e-3  # of the first cycle; every further one has half of it
LARGEST_DIFFERENCE = 1e-4
WORKING_POINT = 0.25  # near the thresholds of the package's default preset
CALIBRATION_FRAMES = 80


def loss(logits: Tensor, boxes: Tensor, wanted: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Return the focal coverage loss and the box loss (L1 and 1 - GIoU), both per covered object."""
    cover, weight, distances, box_weight = wanted
    probability = logits.sigmoid()
    wrong = (cover - probability).abs()
    focal = F.binary_cross_entropy_with_logits(logits, cover, reduction="none") * wrong**1.5
    objects = box_weight.square().sum().clamp(min=1.0)
    focal = (focal * weight * torch.where(cover > 0, box_weight, 1.0)).sum() / objects
    n, _, rows, cols = boxes.shape
    found, real = boxes.view(n, CLASSES, 4, rows, cols), distances.view(n, CLASSES, 4, rows, cols)
    flat = (found - real).abs().mean(dim=2)
    # Both boxes share the cell's point, so overlaps follow from the distances alone.
    safe = found.clamp(min=-20.0)
    inner = (
        torch.minimum(safe[:, :, :2], real[:, :, :2]) + torch.minimum(safe[:, :, 2:], real[:, :, 2:])
    ).clamp(min=0)
    outer = (
        torch.maximum(safe[:, :, :2], real[:, :, :2]) + torch.maximum(safe[:, :, 2:], real[:, :, 2:])
    ).clamp(min=1e-3)
    size_found = (safe[:, :, :2] + safe[:, :, 2:]).clamp(min=1e-3)
    size_real = real[:, :, :2] + real[:, :, 2:]
    overlap = inner[:, :, 0] * inner[:, :, 1]
    union = size_found[:, :, 0] * size_found[:, :, 1] + size_real[:, :, 0] * size_real[:, :, 1] - overlap
    hull = outer[:, :, 0] * outer[:, :, 1]
    giou = overlap / union.clamp(min=1e-4) - (hull - union) / hull
    return focal, ((0.7 * flat + (1.0 - giou)) * box_weight).sum() / box_weight.sum().clamp(min=1.0)


def train_cycle(
    model: Standin, pool: np.ndarray, truths: list[np.ndarray], steps: int, batch: int, cycle: int, seed: int
) -> tuple[Standin, list[float]]:
    """Train for one rise and fall of the learning rate.

    Returns the averaged model, which the next cycle starts from, and the mean loss of every hundred steps.
    """
    rng = np.random.default_rng((seed, cycle) if cycle else seed)
    model = model.train().to(memory_format=torch.channels_last)
    # An exponential average whose window grows with training: a ninth of it, at most the last 200 steps.
    average = AveragedModel(
        model,
        avg_fn=lambda old, new, n: old + (new - old) * max(0.005, 9.0 / (10.0 + float(n))),
        use_buffers=True,
    )
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, PEAK_RATE / 2**cycle, total_steps=steps, pct_start=0.1
    )
    curve: list[float] = []
    recent: list[float] = []
    began = time.monotonic()
    for step in range(1, steps + 1):
        pairs = [augment(pool[k], truths[k], rng) for k in rng.integers(0, len(truths), batch)]
        wanted = [targets(objects, CROP_HEIGHT // STRIDE, CROP_WIDTH // STRIDE) for _, objects in pairs]
        images = torch.from_numpy(np.stack([image[:, :, ::-1].transpose(2, 0, 1) for image, _ in pairs]))
        images = images.float().div_(255.0).contiguous(memory_format=torch.channels_last)
        logits, boxes = model(images)
        planes = tuple(torch.from_numpy(np.stack(w)) for w in zip(*wanted, strict=True))
        cover_loss, box_loss = loss(logits, boxes, planes)
        total = cover_loss + box_loss
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        recent.append(float(total.detach()))
        if step % 100 == 0:
            curve.append(round(float(np.mean(recent)), 4))
            recent.clear()
            rate = (time.monotonic() - began) / step
            print(f"cycle {cycle} step {step}/{steps} loss {curve[-1]} {rate:.2f} s/step", flush=True)
            state = {"average": average.module.state_dict(), "cycle": cycle, "step": step, "curve": curve}
            torch.save(state, cache_dir() / "standin" / "checkpoint.pt")
    trained = average.module
    assert isinstance(trained, Standin)
    return trained, curve


def largest_difference(model: Standin, path: Path) -> float:
    """Return the largest difference between PyTorch and the exported file on a held-out frame."""
    import onnxruntime as ort

    frame, _ = Scene(HELD_OUT_SEEDS[0]).render(0)
    image = cv2.resize(frame, (WIDTH, HEIGHT))[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255.0
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(["output_cov/Sigmoid:0", "output_bbox/BiasAdd:0"], {"input_1:0": image})
    with torch.inference_mode():
        logits, boxes = model(torch.from_numpy(image))
    return max(
        float(np.abs(a - b.numpy()).max()) for a, b in zip(found, (logits.sigmoid(), boxes), strict=True)
    )


def calibrate(model: Standin, path: Path, pool: np.ndarray, truths: list[np.ndarray]) -> dict[str, float]:
    """Shift the coverage of each class so that F1 on training frames is best at `WORKING_POINT`, and export.

    The focal loss leaves the best threshold anywhere; here it lands where the default preset looks for it.
    Average precision does not change, since the order of the cells does not. Returns the thresholds before.
    """
    export(model, path)
    net = PeopleNet.load(path, device="cpu")
    settings = Settings(default=ClassSettings(threshold=0.05))
    rows: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = [[] for _ in PEOPLENET_LABELS]
    for k in np.linspace(0, len(truths) - 1, CALIBRATION_FRAMES).astype(int):
        found = decode(net.infer(np.asarray(pool[k])), settings).detections
        for c in range(CLASSES):
            mine = found.class_id == c
            rows[c].append((found.xyxy[mine], found.confidence[mine], truths[k][truths[k][:, 4] == c, :4]))
    best = [precision_recall(frames).best()[1] for frames in rows]
    shift = [
        np.log(WORKING_POINT / (1 - WORKING_POINT)) - np.log(b / (1 - b)) for b in np.clip(best, 0.02, 0.98)
    ]
    with torch.no_grad():
        model.cover.bias += torch.tensor(shift, dtype=torch.float32)
        model.cover.bias.copy_(model.cover.bias.half().float())
    export(model, path)
    return {name: round(float(b), 3) for name, b in zip(PEOPLENET_LABELS, best, strict=True)}


def finish(
    model: Standin, pool: np.ndarray, truths: list[np.ndarray], facts: dict[str, object], force: bool
) -> None:
    """Fold, calibrate, export, measure and, if it is better than what is there, write file and record."""
    final = folded(model)
    candidate = cache_dir() / "standin" / "candidate.onnx"
    thresholds = calibrate(final, candidate, pool, truths)
    difference = largest_difference(final, candidate)
    if difference > LARGEST_DIFFERENCE:
        raise SystemExit(f"the exported file differs from PyTorch by {difference:.2e}")
    precision = precision_on(candidate, held_out_frames())
    print(
        f"held out: {precision}; against PyTorch {difference:.1e}; {candidate.stat().st_size} bytes",
        flush=True,
    )
    content = candidate.read_bytes()
    record = {
        "what": "Training record of standin.onnx, the stand-in network of the demo clip; not NVIDIA's PeopleNet.",
        "made_by": "tools/standin/train.py",
        **facts,
        "held_out_seeds": list(HELD_OUT_SEEDS),
        "average_precision_101_iou50": precision,
        "bars": BARS,
        "best_thresholds_before_calibration": thresholds,
        "working_point": WORKING_POINT,
        "torch_against_onnx": difference,
        "parameters": sum(p.numel() for p in final.parameters()),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    text = json.dumps(record, indent=1) + "\n"
    candidate.with_suffix(".json").write_text(text, encoding="utf-8")
    before = 0.0
    if STANDIN_RECORD.exists():
        before = sum(
            json.loads(STANDIN_RECORD.read_text(encoding="utf-8"))["average_precision_101_iou50"].values()
        )
    if sum(precision.values()) <= before and not force:
        raise SystemExit(f"kept the present file, which measures better; this one is {candidate}")
    STANDIN.write_bytes(content)
    STANDIN_RECORD.write_text(text, encoding="utf-8")
    print(f"wrote {STANDIN}")


def main() -> None:
    """Render, train, measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=320)
    parser.add_argument("--frames", type=int, default=8, help="per scene")
    parser.add_argument("--steps", type=int, nargs="+", default=[1800], help="one number per cycle")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--force", action="store_true", help="write even if the present file measures better")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    began = time.monotonic()
    pool, truths = render_pool(cache_dir() / "standin", options.scenes, options.frames)
    rendered = time.monotonic() - began
    torch.manual_seed(options.seed)
    model, curve = Standin(), []
    for cycle, steps in enumerate(options.steps):
        model, more = train_cycle(model, pool, truths, steps, options.batch, cycle, options.seed)
        curve += more
    facts = {
        "options": {k: v for k, v in vars(options).items() if k != "force"},
        "training_seeds": [FIRST_SEED, FIRST_SEED + options.scenes - 1],
        "loss_per_100_steps": curve,
        "seconds": {"rendering": round(rendered), "training": round(time.monotonic() - began - rendered)},
    }
    finish(model, pool, truths, facts, options.force)


if __name__ == "__main__":
    main()
