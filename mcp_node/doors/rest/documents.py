"""What the OpenAPI document says of every route: its errors, and the form of session ids."""

from typing import Annotated, Any, Final

from fastapi import Path, Query
from pydantic import BaseModel

from proto.names import NAME_PATTERN


class ProblemDetail(BaseModel):
    """What was wrong and what to do next; ``code`` is stable."""

    code: str
    message: str
    next_step: str


class Problem(BaseModel):
    """The body of every failure."""

    error: ProblemDetail


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's error responses for the OpenAPI document: the common ones, and ``statuses``."""
    return {
        status: {"model": Problem, "description": _MEANINGS[status]}
        for status in sorted({401, 403, 422, *statuses})
    }


_MEANINGS: Final = {
    401: "No token, or not a valid one.",
    403: "The token lacks the right, or another site's page asks.",
    404: "No such session, message or parent message that this caller may see.",
    409: "The idempotency key belongs to another message, the session is closed, or others"
    " have spoken (MOVED_ON; their messages are in error.messages), or claimed it (CLAIMED; their"
    " claims are in error.claims), or the note has another version (VERSION_CONFLICT).",
    413: "The body, or a field of it, is larger than a limit allows.",
    415: "The body is not application/json.",
    422: "Something in the request breaks a documented rule.",
    429: "Too many writes in too short a time, as many sessions as one may make, or a loop.",
    503: "A bounded queue is full; nothing was stored, try again.",
}
WRITING: Final = (413, 415, 429, 503)

FieldsText = Annotated[
    str | None,
    Query(description='Only messages whose metadata has this: JSON, such as {"kind":"finding"}.'),
]

SessionId = Annotated[str, Path(json_schema_extra={"pattern": f"^{NAME_PATTERN}$"})]
"""Only documents the pattern; the services check it, with an error text of their own."""
