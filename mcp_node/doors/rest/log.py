"""The log for ws_node: heads and pages of it. Internal API (`proto.internal_api`)."""

import time
from functools import partial

from fastapi import APIRouter, Request, Response

from mcp_node.doors.rest.service import decode_body, json_response, service_router
from mcp_node.log.interface import Database
from mcp_node.sessions import reads
from mcp_node.sessions.reads import PageQuery
from proto.errors import InvalidInput
from proto.internal_api import (
    HEADS,
    LOG,
    MAX_LOG_PAGE,
    SESSION_HEAD,
    LogRequest,
    LogStart,
    SessionHead,
)
from proto.messages import MAX_ID
from proto.names import check_name
from proto.settings import Settings


def make_log_api(database: Database, settings: Settings) -> APIRouter:
    """The routes /api/heads and /api/log, outside the OpenAPI document."""
    router = service_router()

    @router.get(HEADS)
    async def heads(after: int = 0) -> Response:
        query = partial(reads.heads, epoch=database.epoch, after=_position(after))
        return json_response(await database.read(query))

    @router.get(SESSION_HEAD)
    async def session_head(session_id: str) -> Response:
        name = check_name(session_id, "session_id")
        head, log_head = await database.read(partial(reads.heads_of, session_id=name))
        starts = [LogStart(start.at, start.head) for start in database.starts]
        if database.shared:  # others may have written while this one was down: until when?
            starts.append(LogStart(time.time(), log_head))
            starts = await database.read(partial(reads.with_last_commits, starts=starts))
        return json_response(SessionHead(database.epoch, head, log_head, starts))

    @router.post(LOG)
    async def log(request: Request) -> Response:
        wish = decode_body(await request.body(), LogRequest, settings)
        if not 1 <= wish.limit <= MAX_LOG_PAGE:
            raise InvalidInput(f"limit must be 1 to {MAX_LOG_PAGE}.")
        name = check_name(wish.session_id, "session_id")
        query = PageQuery(name, _position(wish.after), None, wish.limit)
        return json_response(
            await database.read(
                partial(reads.log_page, epoch=database.epoch, audience=wish.audience, query=query)
            )
        )

    return router


def _position(value: int) -> int:
    if not 0 <= value <= MAX_ID:
        raise InvalidInput(f"a position is 0 to {MAX_ID}.")
    return value
