"""How errors become answers: a status, a sentence, the next step.

One decision to know: an error that this package raises on purpose about what a client sent is a 4xx; whatever else is
a 500 that tells the client nothing but that, and the log its type and place, since messages may quote what was sent.
"""

from __future__ import annotations

import logging
import math
import traceback
from pathlib import Path

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from peoplenet_nb.errors import GridsError, PeopleNetError, SettingsError, SourceError, printable
from peoplenet_nb.serve.values import Problem
from peoplenet_nb.sources.stills import ImageTooLargeError

logger: logging.Logger = logging.getLogger(__name__)


class RefusedError(PeopleNetError):
    """A call that is not answered as asked, with its HTTP status and, for 429 and 503, when to try again."""

    def __init__(
        self, status: int, what: str, seen: object, next_step: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(what, seen=seen, next_step=next_step)
        self.status, self.retry_after = status, retry_after


def first_of(error: ValidationError | RequestValidationError) -> str:
    """Return where a value does not fit its type, and why; the first one, without the value itself."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def problem_of(error: Exception) -> Problem:
    """Return what a client is told about an error."""
    if not isinstance(error, (RefusedError, SettingsError, GridsError, SourceError)):
        logger.error("a call failed: %s at %s", type(error).__name__, _place(error))
        return Problem(
            error="Something went wrong in the service that it did not expect.",
            next_step="try again; if it stays, tell who runs the service: its log has the place.",
            status=500,
        )
    status = 413 if isinstance(error, ImageTooLargeError) else getattr(error, "status", 422)
    seen = dict(error._lines()).get("seen")
    return Problem(
        error=error.what,
        seen=None if seen is None else printable(seen),
        next_step=error.next_step or "see /docs.",
        status=status,
        retry_after=getattr(error, "retry_after", None),
    )


def answer_of(error: Exception) -> Response:
    """Return the response for an error."""
    problem = problem_of(error)
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else {}
    if problem.retry_after is not None:  # in whole seconds, RFC 9110, 10.2.3
        headers["Retry-After"] = str(max(1, math.ceil(problem.retry_after)))
    return JSONResponse(problem.model_dump(), problem.status, headers)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:])
