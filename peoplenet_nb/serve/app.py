"""The service over HTTP: routes, and what they take and give.

One decision to know: a body is read by `read_body` and nothing else, so no route can be made to read more than its
limit, or to write any of it to disk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.responses import Response

import peoplenet_nb
from peoplenet_nb.errors import PeopleNetError, SettingsError, refuse_unknown
from peoplenet_nb.fit import FitMode
from peoplenet_nb.serve.calls import Calls, detected, drawn, npz
from peoplenet_nb.serve.docspage import docs_html
from peoplenet_nb.serve.front import Front
from peoplenet_nb.serve.kserve import add_kserve
from peoplenet_nb.serve.refusals import RefusedError, answer_of, first_of
from peoplenet_nb.serve.service import Service, settings_of
from peoplenet_nb.serve.tensors import MODEL, VERSION
from peoplenet_nb.serve.uploads import KINDS
from peoplenet_nb.serve.values import Detected, Problem, Served, State
from peoplenet_nb.settings import PRESETS, thresholds_of

_KINDS = ("image/jpeg", "image/png", "image/webp", "image/bmp", "application/octet-stream")
_PICTURE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FORM: dict[str, Any] = {
    "schema": {
        "type": "object",
        "required": ["image"],
        "additionalProperties": False,
        "properties": {
            "image": {"type": "string", "format": "binary"},
            "settings": {"type": "string", "description": "JSON in the layout of a settings file"},
        },
    }
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": f"A picture ({KINDS}): its bytes, or a form with it as a file.",
        "content": dict.fromkeys(_KINDS, _PICTURE) | {"multipart/form-data": _FORM},
    }
}
_FORMLESS = "The call does not have the form that it should have"
_REASONS = {
    400: "The client went away, or the call makes no sense",
    401: "No token, or not the right one",
    408: "The body did not come in time",
    413: "The body or the picture is too large",
    415: "Not a picture of a kind that is read here",
    422: "A damaged picture, or settings that make no sense",
    429: "The service is busy: try again after Retry-After",
    503: "It is loading or stopping, or the call took too long: try again after Retry-After",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": reason} for status, reason in _REASONS.items()
}

Preset = Annotated[str | None, Query(description="a preset in place of the service's own settings")]
FitName = Annotated[FitMode | None, Query(description="how the picture gets the network's size")]
Thresholds = Annotated[
    list[str],
    Query(description="another threshold for a class, e.g. face=0.1; may be repeated", max_length=32),
]
SettingsJson = Annotated[
    str | None, Query(description="settings as JSON, in the layout of a settings file", max_length=1 << 14)
]
Draw = Annotated[bool, Query(description="answer with the picture (JPEG) and its boxes drawn on it")]


def make_app(service: Service, token: str = "") -> FastAPI:
    """Return the service as an ASGI application; it loads its model when the application starts.

    Parameters
    ----------
    service : Service
        Not started yet.
    token : str
        What clients must send; empty for none.
    """
    calls = Calls(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        calls.close()
        service.close()

    app = FastAPI(
        title="PeopleNet",
        version=peoplenet_nb.__version__,
        description="People, bags and faces in pictures. Every error has the same form (Problem).",
        docs_url=None,  # FastAPI's own page loads its scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        responses={422: {"model": Problem, "description": _FORMLESS}},
        exception_handlers={PeopleNetError: _told, HTTPException: _http, RequestValidationError: _invalid},
    )
    app.add_middleware(Front, metrics=service.metrics, token=token)
    _add_pictures(app, service, calls)
    add_kserve(app, service, calls, PROBLEMS)
    _add_health(app, service)
    return app


async def _told(_: Request, error: Exception) -> Response:
    return answer_of(error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what, step = str(error.detail), "see /docs for what there is."
    if error.status_code == 404 and request.url.path.startswith("/v2/models/"):
        what, step = "There is no such model or version", f"ask for {MODEL}, version {VERSION} or none."
    answer = answer_of(RefusedError(error.status_code, what, None, step))
    answer.headers.update(error.headers or {})
    return answer


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return answer_of(RefusedError(422, _FORMLESS, first_of(error), "compare it with /docs."))


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/health/live", tags=["health"])
    async def live() -> State:
        """Tell that the process runs; always 200."""
        return service.state

    @app.get("/health/ready", tags=["health"], responses={503: {"model": State}})
    async def ready() -> Response:
        """Tell whether calls are answered: 200, else 503."""
        state = service.state
        return JSONResponse(state.model_dump(), 200 if state.state == "ready" else 503)

    @app.get("/ping", tags=["health"], response_class=Response, responses={204: {}, 503: {}})
    async def ping() -> Response:
        """Tell RunPod's balancer: 200 ready, 204 loading, 503 stopping."""
        return Response(status_code={"ready": 200, "loading": 204}.get(service.state.state, 503))

    @app.get(
        "/metrics",
        tags=["health"],
        response_class=Response,
        responses={200: {"content": {CONTENT_TYPE_LATEST: {}}}, 401: PROBLEMS[401]},
    )
    async def metrics() -> Response:
        """Return figures for Prometheus."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_html(app.openapi(), service.limits, PRESETS))


def _add_pictures(app: FastAPI, service: Service, calls: Calls) -> None:
    limits = service.limits
    told: dict[str, Any] = {"openapi_extra": _BODY, "tags": ["pictures"]}
    drawn_too = {"content": {"image/jpeg": {}}, "description": "boxes as JSON; with draw=1 the picture"}
    file = {"content": {"application/x-npz": _PICTURE}, "description": "an .npz file"}

    @app.get("/settings", tags=["pictures"], responses={s: PROBLEMS[s] for s in (401, 503)})
    async def settings() -> Served:
        """Return the model and the settings that answer now, the presets and the limits."""
        return service.loaded.about(limits)

    @app.post("/detect", response_model=Detected, responses=PROBLEMS | {200: drawn_too}, **told)
    async def detect(
        request: Request,
        preset: Preset = None,
        fit: FitName = None,
        threshold: Thresholds = [],  # noqa: B006 - FastAPI copies it
        settings: SettingsJson = None,
        draw: Draw = False,
    ) -> Any:
        """Find people, bags and faces in a picture."""
        refuse_unknown(request.query_params, ("preset", "fit", "threshold", "settings", "draw"), "parameter")
        loaded = service.loaded
        async with calls.entered() as hold:
            body, own = await calls.upload(request, hold)
            if own is not None and settings is not None:
                step = "send them once."
                raise SettingsError("Settings came in the form and in the query", next_step=step)
            text = own if settings is None else settings
            whole = None if text is None else settings_of(text)
            chosen = loaded.choose(whole, preset, fit, thresholds_of(threshold, "threshold="))
            seen = await calls.see(body, loaded, chosen, hold, keep=draw)
            del body
            found = await calls.beside(partial(detected, seen, chosen, loaded))
            for label, count in found.counts.items():
                service.metrics.boxes.labels(label).inc(count)
            if seen.image is None:
                return Response(found.model_dump_json(), media_type="application/json")
            picture = await calls.beside(partial(drawn, seen.image, found))
            named = {"X-Settings-Hash": found.settings_hash, "X-Boxes": str(len(found.boxes))}
            return Response(picture, media_type="image/jpeg", headers=named)

    @app.post("/grids", response_class=Response, responses=PROBLEMS | {200: file}, **told)
    async def grids(request: Request, fit: FitName = None) -> Response:
        """Return the network's raw output, as Grids.load reads it, to try settings without the service."""
        refuse_unknown(request.query_params, ("fit",), "parameter")
        loaded = service.loaded
        async with calls.entered() as hold:
            body, own = await calls.upload(request, hold)
            if own is not None:
                raise SettingsError("The raw output has no settings", next_step="send the picture alone.")
            chosen = loaded.settings.replace(fit=fit) if fit else loaded.settings
            seen = await calls.see(body, loaded, chosen, hold)
            return Response(await calls.beside(partial(npz, seen.grids)), media_type="application/x-npz")
