"""Try one part of the environment for real, in a process of its own: ``python -m peoplenet_nb.diagnostics.probe``.

Only a trial shows whether a library works, and a broken one can end the process that tries. So each trial runs in
a child process, which writes its answer as one line of JSON.

A provider works if ``session.get_providers()`` lists it after a real convolution has run.
``get_available_providers()`` only lists what the wheel was built with.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from peoplenet_nb.network.engines.loader import gist, preload, refusal, shorten

Answer = dict[str, Any]


def ask(*question: str, timeout: float = 120.0) -> Answer:
    """Run one trial in a child process.

    Parameters
    ----------
    *question : str
        ``("provider", "CUDAExecutionProvider")``, ``("opencv",)``, ``("pyav",)``, ``("mnn",)`` or ``("openvino",)``.
    timeout : float
        Seconds after which the child is stopped.

    Returns
    -------
    dict
        Always has ``ok`` (bool) and ``reason`` (str, empty if ok), and what the trial itself adds.
        Nothing is raised: a child that died is an answer too.
    """
    command = [sys.executable, "-P", "-m", "peoplenet_nb.diagnostics.probe", *question]
    options: dict[str, Any] = {"encoding": "utf-8", "errors": "replace", "stdin": subprocess.DEVNULL}
    options["env"] = os.environ | {"PYTHONIOENCODING": "utf-8"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout, check=False, **options)
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return _failed(f"no answer within {timeout:.0f} seconds")
    except OSError as error:
        return _failed(str(error))
    except (IndexError, ValueError, TypeError):
        text = shorten(done.stderr) or "no message"
        return _failed(f"the trial ended with code {done.returncode}: {text}")


def _failed(reason: str) -> Answer:
    return {"ok": False, "reason": reason}


def _works(**more: object) -> Answer:
    return {"ok": True, "reason": ""} | more


def try_provider(name: str) -> Answer:
    """Run a convolution on one of ONNX Runtime's execution providers."""
    import numpy as np
    import onnxruntime as ort

    found = {"version": ort.__version__, "built_with": ort.get_available_providers()}
    if name not in found["built_with"]:
        return found | _failed("this build of ONNX Runtime does not have it")
    preload(name)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        # Without this ONNX Runtime prints the error, takes the CPU instead and calls it a success.
        session = ort.InferenceSession(_convolution(), options, providers=[name], enable_fallback=0)
        frame = {"x": np.ones((1, 3, 16, 16), np.float32)}
        session.run(None, frame)
        began = time.perf_counter()
        session.run(None, frame)
        found["ms"] = round((time.perf_counter() - began) * 1000, 3)
    except Exception as error:
        return found | _failed(refusal(name) or gist(str(error)))
    if session.get_providers()[0] == name:
        return found | _works()
    return found | _failed(refusal(name) or "the session fell back to the CPU")


def try_opencv() -> Answer:
    """Import OpenCV, which needs libGL and glib from the system."""
    import cv2

    return _works(version=cv2.__version__)


def try_pyav() -> Answer:
    """Encode one frame as H.264 with libx264, and see whether NVIDIA's encoder opens."""
    import av

    _encode("libx264")
    try:
        _encode("h264_nvenc")
        nvenc = ""
    except Exception as error:
        nvenc = shorten(str(error)) or type(error).__name__
    return _works(version=av.__version__, nvenc=not nvenc, nvenc_reason=nvenc)


def try_mnn() -> Answer:
    """Load MNN."""
    from peoplenet_nb.network.engines import mnn

    mnn.check_installed()
    return _works(version=mnn.version())


def try_openvino() -> Answer:
    """Load OpenVINO and list its devices."""
    import openvino as ov

    return _works(version=ov.__version__.split("-")[0], devices=ov.Core().available_devices)


def _convolution() -> bytes:
    """Return a network of one 3x3 convolution: enough to need cuDNN and a kernel for this very GPU."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 16, 16])],
        [numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _encode(codec: str) -> None:
    """Encode one black frame into memory; the codec's own exception says why not."""
    import av
    import numpy as np

    with av.open(io.BytesIO(), "w", format="mp4") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((256, 256, 3), np.uint8), format="bgr24")
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)


def main(question: list[str]) -> None:
    """Answer one question on standard output."""
    trials: dict[str, Callable[..., Answer]]
    trials = {"provider": try_provider, "opencv": try_opencv, "pyav": try_pyav, "mnn": try_mnn}
    trials["openvino"] = try_openvino
    try:
        answer = trials[question[0]](*question[1:])
    except Exception as error:  # a trial may fail in any way: that is its answer
        answer = _failed(shorten(f"{type(error).__name__}: {error}"))
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
