"""Errors as HTTP responses: the mapping for REST, and for a framework's own errors.

Body of every failure: ``{"error": {"code": …, "message": …, "next_step": …}}``, with the error's
`PartylineError.details` beside these.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from proto.errors import InvalidInput, NotFound, PartylineError, Unauthenticated, Unavailable
from serving.http.asgi import Send, respond

_encode: Final = msgspec.json.Encoder().encode
_UNKNOWN_FIELD: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})


class _NotAllowed(PartylineError):
    code = "METHOD_NOT_ALLOWED"
    status = 405


class _Internal(PartylineError):
    code = "INTERNAL_ERROR"
    status = 500
    next_step = "Try again; the operator's log has the cause."


def problem(error: PartylineError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of an error."""
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    if error.status == Unavailable.status:
        headers.append((b"retry-after", b"1"))
    body = {"code": error.code, "message": error.message, "next_step": error.hint}
    body |= error.details
    return error.status, headers, _encode({"error": body})


async def send_problem(send: Send, error: PartylineError) -> None:
    """Answer an ASGI request with an error, without a framework."""
    status, headers, body = problem(error)
    await respond(send, status, headers, body)


def field_problem(errors: Sequence[Any]) -> InvalidInput:
    """One sentence about the first field that a framework refused, without the caller's input."""
    first = errors[0] if errors else {"loc": (), "msg": "not valid"}
    if first.get("type") in _UNKNOWN_FIELD:  # the field's name is input
        return InvalidInput("There is a field that is not known here.")
    path = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    return InvalidInput(f"{path or 'The body'}: {first['msg']}.")


def install(app: FastAPI) -> None:
    """Make a FastAPI app answer every error in this form."""

    def answer(error: PartylineError) -> Response:
        status, headers, body = problem(error)
        response = Response(body, status)
        for key, value in headers:
            response.headers[key.decode()] = value.decode()
        return response

    async def ours(_: Request, error: Exception) -> Response:
        assert isinstance(error, PartylineError)
        return answer(error)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(field_problem(error.errors()))

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return answer(NotFound("There is nothing at this address."))
        if error.status_code == 405:
            return answer(_NotAllowed("This address does not take that method."))
        return answer(InvalidInput("The request could not be read."))

    async def crashed(_: Request, error: Exception) -> Response:
        return answer(_Internal("Something went wrong inside."))

    app.add_exception_handler(PartylineError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, crashed)
