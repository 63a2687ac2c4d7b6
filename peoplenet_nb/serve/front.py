"""What every call passes first: the token, the clock, the log.

One decision to know: it is written against ASGI itself, so that a call without a token is answered before anything of
its body is read, and whatever goes wrong behind it has one form.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from peoplenet_nb.serve.metrics import Metrics
from peoplenet_nb.serve.refusals import RefusedError, answer_of

logger: logging.Logger = logging.getLogger(__name__)

_DRAINED, _SECONDS = 64 << 20, 2.0  # of a body that nobody wants any more

#: What balancers, Triton's clients and a reader of the documentation ask for without a token; none tells of calls.
_HEALTH = ("/ping", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready")
OPEN = frozenset((*_HEALTH, "/docs", "/openapi.json"))

_NO_TOKEN = RefusedError(
    401,
    "A token is required",
    None,
    "send the header Authorization: Bearer TOKEN (or X-API-Key: TOKEN), with the one it was started with.",
)


class _Body:
    """A call's body on its way in.

    Whoever is answered before his body was read comes to read the answer only if the connection stays open until he
    has sent it. So the rest is read and thrown away first, some of it, for a moment; then the connection is closed.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        told: bytes = headers.get(b"content-length", b"0")
        self._ended: bool = told == b"0" and b"transfer-encoding" not in headers
        self._asks_first = b"expect" in headers  # and sends nothing where the answer is no
        self.size = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.size += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        return message

    async def ended(self) -> bool:
        """Return whether all of it has come, after having waited for that a little."""
        if not self._ended and not (self._asks_first and self.size == 0):
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS):
                    await self._drain(self.size + _DRAINED)
        return self._ended

    async def _drain(self, most: int) -> None:
        while not self._ended and self.size < most:
            await self.receive()


class Front:
    """Middleware around the service's routes.

    Parameters
    ----------
    app : ASGI application
    metrics : Metrics
    token : str
        What a client must send; empty for none.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, token: str = "") -> None:
        self._app, self._metrics, self._token = app, metrics, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, body = time.perf_counter(), _Body(scope, receive)
        seen = {"status": 0, "in": 0, "out": 0}

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                if not await body.ended():
                    message = dict(message, headers=[*message["headers"], (b"connection", b"close")])
            seen["out"] += len(message.get("body", b""))
            await send(message)

        try:
            if self._allowed(scope):
                await self._app(scope, body.receive, counted_send)
            else:
                await answer_of(_NO_TOKEN)(scope, body.receive, counted_send)
        except Exception as error:
            if seen["status"]:  # the answer has begun: nothing can be said any more
                raise
            await answer_of(error)(scope, body.receive, counted_send)
        finally:
            seen["in"] = body.size
            self._note(scope, seen, time.perf_counter() - began)

    def _allowed(self, scope: Scope) -> bool:
        if not self._token or scope["path"] in OPEN:
            return True
        headers = dict(scope["headers"])
        sent = [headers.get(b"x-api-key", b"")]
        kind, _, value = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() == b"bearer":
            sent.append(value.strip())
        # In a time that does not depend on how much of the token is right.
        return any(hmac.compare_digest(one, self._token) for one in sent)

    def _note(self, scope: Scope, seen: dict[str, int], seconds: float) -> None:
        # The route and not the path, which a client chooses; sizes and times, and nothing else of what he sent.
        route: Any = scope.get("route")
        name = getattr(route, "path", "other")
        status = seen["status"] or 499  # he went away
        self._metrics.calls.labels(name, str(status)).inc()
        self._metrics.call_seconds.labels(name).observe(seconds)
        self._metrics.received.inc(seen["in"])
        logger.info(
            "%s %s %d, %d bytes in, %d out, %.1f ms",
            *(scope["method"], name, status, seen["in"], seen["out"], 1e3 * seconds),
        )
