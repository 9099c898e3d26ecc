"""The log for ws_node: heads and stretches of it. Between the nodes only (service token).

Every answer carries ``epoch``. Heads also carry ``boot`` (the log's last id when this process
started: what came later is newer than the process) and ``auth`` (this node's AUTH, so that a
ws_node with another one notices).
"""

from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from mcp_node.checks import MAX_PAGE
from mcp_node.store.interface import Store
from proto import strictjson
from proto.errors import InvalidInput, Unauthenticated
from proto.messages import MAX_ID, Audience
from proto.names import check_name
from proto.settings import Settings
from proto.tokens import TO_MCP_NODE, verify_service
from serving.identity import Headers, bearer_token


class LogRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A stretch of a session's log; unfiltered without an audience."""

    session_id: str
    after: int
    limit: int
    audience: Audience | None = None


def make_log_api(store: Store, settings: Settings, bridge_key: bytes) -> APIRouter:
    """The routes /api/heads and /api/log, outside the OpenAPI document."""

    async def service(request: Request) -> None:
        check_service(request.headers.raw, bridge_key)

    router = APIRouter(prefix="/api", include_in_schema=False, dependencies=[Depends(service)])

    @router.get("/heads")
    async def heads(after: int = 0) -> Response:
        found = await store.heads(_position(after))
        return _json(
            {
                "epoch": found.epoch,
                "head": found.head,
                "changed": found.changed,
                "through": found.through,
                "boot": store.boot_head,
                "auth": settings.auth,
            }
        )

    @router.get("/heads/{session_id}")
    async def session_head(session_id: str) -> Response:
        head = await store.session_head(check_name(session_id, "session_id"))
        return _json({"epoch": store.epoch, "id": head, "boot": store.boot_head})

    @router.post("/log")
    async def log(request: Request) -> Response:
        raw = strictjson.loads(await request.body(), max_bytes=settings.max_body_bytes)
        try:
            asked = msgspec.convert(raw, LogRequest)
        except msgspec.ValidationError:
            raise InvalidInput("session_id, after and limit are needed.") from None
        if not 1 <= asked.limit <= MAX_PAGE:
            raise InvalidInput(f"limit must be 1 to {MAX_PAGE}.")
        page = await store.log_page(
            check_name(asked.session_id, "session_id"),
            after=_position(asked.after),
            limit=asked.limit,
            audience=asked.audience,
        )
        return _json(page)

    return router


def check_service(headers: Headers, bridge_key: bytes) -> None:
    """Refuse whoever is not a ws_node.

    Raises:
        Unauthenticated: no service token, or not one of this direction.
    """
    token = bearer_token(headers)
    if token is None:
        raise Unauthenticated("A service token is needed.")
    verify_service(bridge_key, token, TO_MCP_NODE)


def _position(value: int) -> int:
    if not 0 <= value <= MAX_ID:
        raise InvalidInput(f"a position is 0 to {MAX_ID}.")
    return value


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
