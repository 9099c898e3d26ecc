"""Routes that only this deployment's own processes may ask; outside the document.

They are an app of their own, which requests reach over ``mcp.sock``, or signed by the node of
another machine. At the port there are no such routes.
"""

from collections.abc import Iterable
from typing import Any, Final, TypeVar

import msgspec
from fastapi import APIRouter, FastAPI, Response

from proto import strictjson
from proto.errors import InvalidInput
from proto.settings import Settings
from serving.http import problems
from serving.http.asgi import Scope
from serving.peers.local import is_peer

_RESOURCES: Final = frozenset(
    {"agents", "heads", "links", "log", "prune", "revocations", "standing"}
)

T = TypeVar("T")


def service_router() -> APIRouter:
    """A router under /api that documents nothing."""
    return APIRouter(prefix="/api", include_in_schema=False)


def service_app(routers: Iterable[APIRouter]) -> FastAPI:
    """The app of these routes."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    problems.install(app)
    for router in routers:
        app.include_router(router)
    return app


def for_service(scope: Scope) -> bool:
    """Whether a request is one of these routes', asked by whom they answer."""
    return (
        scope["type"] == "http"
        and is_peer(scope)
        and scope["path"].removeprefix("/api/").partition("/")[0] in _RESOURCES
    )


def asked(body: bytes, kind: type[T], settings: Settings) -> T:
    """A request's body as its type.

    Raises:
        InvalidInput: it is not that.
    """
    try:
        return msgspec.convert(strictjson.loads(body, max_bytes=settings.max_body_bytes), kind)
    except msgspec.ValidationError:
        raise InvalidInput("The body does not have the fields this route takes.") from None


def answered(value: Any, status: int = 200) -> Response:
    """A value as a JSON response."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
