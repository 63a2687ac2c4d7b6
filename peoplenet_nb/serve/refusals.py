"""How errors become answers: a status, a sentence, the next step.

One decision to know: an error that this package raises on purpose about what a client sent is a 4xx; whatever else is
a 500 that tells the client nothing but that, and the log its type and place, since messages may quote what was sent.
"""

from __future__ import annotations

import logging
import math
import traceback
from pathlib import Path

from starlette.responses import JSONResponse, Response

from peoplenet_nb.errors import GridsError, PeopleNetError, SettingsError, SourceError, printable
from peoplenet_nb.serve.values import Problem
from peoplenet_nb.sources.stills import ImageTooLargeError

logger: logging.Logger = logging.getLogger(__name__)


class RefusedError(PeopleNetError):
    """A call that is not answered as asked, with its HTTP status and, for 429 and 503, when to try again."""

    def __init__(
        self,
        status: int,
        what: str,
        *,
        seen: object = None,
        next_step: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(what, seen=seen, next_step=next_step)
        self.status = status
        self.retry_after = retry_after


def problem_of(error: Exception) -> Problem:
    """Return what a client is told about an error."""
    if isinstance(error, RefusedError):
        status, retry = error.status, error.retry_after
    elif isinstance(error, ImageTooLargeError):
        status, retry = 413, None
    elif isinstance(error, (SettingsError, GridsError, SourceError)):
        status, retry = 422, None
    else:
        logger.error("a call failed: %s at %s", type(error).__name__, _place(error))
        return Problem(
            error="Something went wrong in the service that it did not expect.",
            seen=None,
            next_step="try again; if it stays, tell who runs the service: its log has the place.",
            status=500,
            retry_after=None,
        )
    assert isinstance(error, PeopleNetError)
    fields = dict(error._lines())
    seen = printable(fields["seen"]) if "seen" in fields else None
    return Problem(
        error=error.what,
        seen=seen,
        next_step=error.next_step or "see /docs.",
        status=status,
        retry_after=retry,
    )


def answer_of(error: Exception) -> Response:
    """Return the response for an error."""
    problem = problem_of(error)
    headers = {}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(
            max(1, math.ceil(problem.retry_after))
        )  # whole seconds, RFC 9110, 10.2.3
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(problem.model_dump(), problem.status, headers)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:])
