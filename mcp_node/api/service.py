"""Routes that only our own processes may ask, with a service token; outside the document."""

from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from proto import strictjson
from proto.errors import InvalidInput, Unauthenticated
from proto.settings import Settings
from proto.tokens import TO_MCP_NODE, verify_service
from serving.identity import Headers, bearer_token

T = TypeVar("T")


def service_router(bridge_key: bytes) -> APIRouter:
    """A router whose routes under /api take service tokens only and document nothing."""

    async def service(request: Request) -> None:
        check_service(request.headers.raw, bridge_key)

    return APIRouter(prefix="/api", include_in_schema=False, dependencies=[Depends(service)])


def check_service(headers: Headers, bridge_key: bytes) -> None:
    """Refuse whoever is not a ws_node.

    Raises:
        Unauthenticated: no service token, or not one of this direction.
    """
    token = bearer_token(headers)
    if token is None:
        raise Unauthenticated("A service token is needed.")
    verify_service(bridge_key, token, TO_MCP_NODE)


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
