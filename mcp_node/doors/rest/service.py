"""The app of the internal API (`proto.internal_api`): routes for this deployment's own processes.

Requests reach it over ``mcp.sock``, or signed by the node of another machine.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, FastAPI, Response

from proto import strictjson
from proto.errors import InvalidInput
from proto.internal_api import INTERNAL_PATHS
from proto.settings import Settings
from serving.http import problems
from serving.http.asgi import Scope
from serving.peers.local import is_peer

T = TypeVar("T")


def service_router() -> APIRouter:
    """A router whose routes are not documented."""
    return APIRouter(include_in_schema=False)


def service_app(routers: Iterable[APIRouter]) -> FastAPI:
    """The app of these routes."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    problems.install(app)
    for router in routers:
        app.include_router(router)
    return app


def for_service(scope: Scope) -> bool:
    """Whether a request is for the internal API, and from a process that may ask it."""
    return (
        scope["type"] == "http"
        and is_peer(scope)
        and "/".join(scope["path"].split("/", 3)[:3]) in INTERNAL_PATHS
    )


def decode_body(body: bytes, kind: type[T], settings: Settings) -> T:
    """A request's body, decoded as ``kind``.

    Raises:
        TooLarge: it is larger than ``PARTYLINE_MAX_BODY_BYTES``.
        InvalidInput: it is not strict JSON, or not of that type.
    """
    try:
        return msgspec.convert(strictjson.loads(body, max_bytes=settings.max_body_bytes), kind)
    except msgspec.ValidationError:
        raise InvalidInput("The body does not have the fields this route takes.") from None


def json_response(value: Any, status: int = 200) -> Response:
    """A value as a JSON response."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
