"""KServe's Open Inference Protocol v2 for the model ``peoplenet_tao``, with Triton's binary extension.

The configuration reads as that of NVIDIA's ``peoplenet_tao`` (`tao-toolkit-triton-apps`, ``model_repository``), so
Triton's clients and NVIDIA's sample client work unchanged.

One decision to know: there is one version, ``1``, and what is not offered (shared memory, classification, other types)
is refused by name, never passed over.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import JSONResponse, Response

import peoplenet_nb
from peoplenet_nb.fit import Fit, FitMode
from peoplenet_nb.onnxfile import ModelFile
from peoplenet_nb.serve.calls import Calls
from peoplenet_nb.serve.service import Service
from peoplenet_nb.serve.tensors import (
    HEADER,
    MODEL,
    VERSION,
    input_of,
    most_bytes,
    outputs_of,
    read_infer,
    write_infer,
)
from peoplenet_nb.serve.uploads import read_body
from peoplenet_nb.serve.values import Infer


def add_kserve(
    app: FastAPI, service: Service, calls: Calls, problems: dict[int | str, dict[str, Any]]
) -> None:
    """Add the protocol's routes to an application."""
    router = APIRouter(prefix="/v2", tags=["KServe v2"])
    limits = service.limits
    refused: dict[int | str, dict[str, Any]] = {status: problems[status] for status in (401, 503)}
    json = {"schema": _whole(Infer.model_json_schema())}
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = {"application/json": json, "application/octet-stream": binary}

    @router.get("/health/live")
    async def live() -> dict[str, bool]:
        """Tell that the process runs."""
        return {"live": True}

    @router.get("/health/ready", responses={503: problems[503]})
    async def ready() -> dict[str, bool]:
        """Tell whether the model answers."""
        return {"ready": bool(service.loaded)}

    @router.get("", responses={401: problems[401]})
    async def server() -> dict[str, Any]:
        """Return the server's metadata."""
        extensions = ["binary_tensor_data", "model_configuration"]
        return {"name": "peoplenet_nb", "version": peoplenet_nb.__version__, "extensions": extensions}

    for path in (f"/models/{MODEL}", f"/models/{MODEL}/versions/{VERSION}"):

        @router.get(path + "/ready", responses=refused)
        async def model_ready() -> dict[str, Any]:
            """Tell whether the model answers."""
            return {"name": MODEL, "ready": bool(service.loaded)}

        @router.get(path, responses=refused)
        async def metadata() -> dict[str, Any]:
            """Return the model's tensors."""
            return metadata_of(service.loaded.model.file)

        @router.get(path + "/config", responses=refused)
        async def config() -> dict[str, Any]:
            """Return the model's configuration, as Triton does."""
            return config_of(service.loaded.model.file, limits.max_batch)

        @router.post(
            path + "/infer",
            response_class=JSONResponse,
            responses=problems,
            openapi_extra={"requestBody": {"required": True, "content": content}},
        )
        async def infer(request: Request) -> Response:
            """Run the network on tensors: pictures that a client has preprocessed (RGB / 255, channels first)."""
            loaded = service.loaded
            async with calls.entered() as hold:
                body = await read_body(request, hold, limits, most_bytes(loaded.model.file, limits))
                said = request.headers.get(HEADER)
                asked, inputs = await calls.beside(partial(read_infer, body, said, loaded, limits))
                del body
                size = loaded.model.file.network_size
                fits = [Fit.of(size, size, FitMode.STRETCH)] * len(inputs)
                answer = await calls.network(loaded, inputs, fits)
                return await calls.beside(partial(write_infer, asked, answer, loaded.model.file))

    app.include_router(router)


def _whole(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with what it refers to put in its place: it stands inside of another document."""
    definitions = schema.pop("$defs", {})

    def whole(part: Any) -> Any:
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            return whole(definitions[name]) if name else {key: whole(value) for key, value in part.items()}
        return [whole(one) for one in part] if isinstance(part, list) else part

    return dict(whole(schema))


def metadata_of(file: ModelFile) -> dict[str, Any]:
    """Return the model's metadata."""
    tensors = [input_of(file), *outputs_of(file)]
    told = [{"name": name, "datatype": "FP32", "shape": [-1, *dims]} for name, dims in tensors]
    platform = "onnxruntime_onnx"
    return {
        "name": MODEL,
        "versions": [VERSION],
        "platform": platform,
        "inputs": told[:1],
        "outputs": told[1:],
    }


def config_of(file: ModelFile, max_batch: int) -> dict[str, Any]:
    """Return the model's configuration, with the fields of Triton's that clients read."""
    tensors = [input_of(file), *outputs_of(file)]
    told: list[dict[str, Any]] = [{"name": n, "data_type": "TYPE_FP32", "dims": d} for n, d in tensors]
    return {
        "name": MODEL,
        "platform": "onnxruntime_onnx",
        "max_batch_size": max_batch,
        "input": [told[0] | {"format": "FORMAT_NCHW"}],
        "output": told[1:],
    }
