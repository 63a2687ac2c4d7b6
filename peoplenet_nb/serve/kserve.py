"""KServe's Open Inference Protocol v2 for the model ``peoplenet_tao``, with Triton's binary extension.

Tensors have the model file's own names, and the configuration reads as that of NVIDIA's ``peoplenet_tao``
(`tao-toolkit-triton-apps`, ``model_repository``), so Triton's clients and NVIDIA's sample client work unchanged.

One decision to know: there is one version, ``1``, and what is not offered (shared memory, classification, other types)
is refused by name, never passed over.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path, Request
from starlette.responses import JSONResponse, Response

import peoplenet_nb
from peoplenet_nb.fit import Fit, FitMode
from peoplenet_nb.serve.calls import Calls
from peoplenet_nb.serve.limits import Limits
from peoplenet_nb.serve.refusals import RefusedError
from peoplenet_nb.serve.service import Loaded, Service
from peoplenet_nb.serve.tensors import (
    HEADER,
    MODEL,
    VERSION,
    most_bytes,
    outputs_of,
    read_infer,
    shape_of,
    write_infer,
)
from peoplenet_nb.serve.uploads import read_body
from peoplenet_nb.serve.values import Infer

# The values are told to whoever reads the document; others are answered with 404, as the protocol has it.
ModelName = Annotated[str, Path(json_schema_extra={"enum": [MODEL]})]
VersionName = Annotated[str, Path(json_schema_extra={"enum": [VERSION]})]


def _check(model: ModelName) -> None:
    if model != MODEL:
        raise _unknown(model, VERSION)


def _check_version(model: ModelName, version: VersionName) -> None:
    if (model, version) != (MODEL, VERSION):
        raise _unknown(model, version)


def _unknown(model: str, version: str) -> RefusedError:
    return RefusedError(
        404,
        "There is no such model or version",
        seen=f"{model}, version {version}",
        next_step=f"ask for {MODEL}, version {VERSION} or none.",
    )


def add_kserve(
    app: FastAPI, service: Service, calls: Calls, problems: dict[int | str, dict[str, Any]]
) -> None:
    """Add the protocol's routes to an application."""
    router = APIRouter(prefix="/v2", tags=["KServe v2"])
    limits = service.limits
    missing: dict[int | str, dict[str, Any]] = {
        404: problems[422] | {"description": "No such model or version"}
    }

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
        return {
            "name": "peoplenet_nb",
            "version": peoplenet_nb.__version__,
            "extensions": ["binary_tensor_data", "model_configuration"],
        }

    async def model_ready() -> dict[str, Any]:
        """Tell whether a model answers."""
        return {"name": MODEL, "ready": bool(service.loaded)}

    async def metadata() -> dict[str, Any]:
        """Return a model's tensors."""
        return metadata_of(service.loaded)

    async def config() -> dict[str, Any]:
        """Return a model's configuration, as Triton does."""
        return config_of(service.loaded, limits)

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
            return await calls.beside(partial(write_infer, asked, answer, loaded))

    body = {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _whole(Infer.model_json_schema())},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    }
    for path, check in (("/models/{model}", _check), ("/models/{model}/versions/{version}", _check_version)):
        known: dict[str, Any] = {"dependencies": [Depends(check)]}
        for end, function in (("/ready", model_ready), ("", metadata), ("/config", config)):
            router.add_api_route(
                path + end, function, methods=["GET"], responses=missing | _some(problems, 401, 503), **known
            )
        router.add_api_route(
            path + "/infer",
            infer,
            methods=["POST"],
            response_class=JSONResponse,
            responses=problems | missing,
            openapi_extra=body,
            **known,
        )
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


def _some(problems: dict[int | str, dict[str, Any]], *statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: problems[status] for status in statuses}


def metadata_of(loaded: Loaded) -> dict[str, Any]:
    """Return the model's metadata."""
    file = loaded.model.file
    return {
        "name": MODEL,
        "versions": [VERSION],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": file.input.name, "datatype": "FP32", "shape": shape_of(file)}],
        "outputs": [{"name": n, "datatype": "FP32", "shape": [-1, *s]} for n, s in outputs_of(file)],
    }


def config_of(loaded: Loaded, limits: Limits) -> dict[str, Any]:
    """Return the model's configuration, with the fields of Triton's that clients read."""
    file = loaded.model.file
    return {
        "name": MODEL,
        "platform": "onnxruntime_onnx",
        "max_batch_size": limits.max_batch,
        "input": [
            {
                "name": file.input.name,
                "data_type": "TYPE_FP32",
                "format": "FORMAT_NCHW",
                "dims": shape_of(file)[1:],
            }
        ],
        "output": [{"name": n, "data_type": "TYPE_FP32", "dims": s} for n, s in outputs_of(file)],
    }
