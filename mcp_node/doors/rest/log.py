"""The log for ws_node: heads and stretches of it. Between the nodes only.

Every answer carries ``epoch``. Heads also carry ``pruned`` (a number: when it moves, what ws_node
remembers may be what was pruned). A session's head carries ``log_head``, the log's head in the same
snapshot: up to there ws_node then knows the session. And ``starts`` (see `Database.starts`), by
which ws_node knows what it owes to viewers who came while this node was not running.
"""

from functools import partial

import msgspec
from fastapi import APIRouter, Request, Response

from mcp_node.doors.rest.service import answered, asked, service_router
from mcp_node.log.interface import Database
from mcp_node.sessions import reads
from mcp_node.sessions.checks import MAX_PAGE
from mcp_node.sessions.reads import PageQuery
from proto.errors import InvalidInput
from proto.messages import MAX_ID, Audience
from proto.names import check_name
from proto.settings import Settings


class LogRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A stretch of a session's log; unfiltered without an audience."""

    session_id: str
    after: int
    limit: int
    audience: Audience | None = None


def make_log_api(database: Database, settings: Settings) -> APIRouter:
    """The routes /api/heads and /api/log, outside the OpenAPI document."""
    router = service_router()

    @router.get("/heads")
    async def heads(after: int = 0) -> Response:
        found = await database.read(partial(reads.heads, after=_position(after)))
        return answered(
            {
                "epoch": database.epoch,
                "head": found.head,
                "changed": found.changed,
                "through": found.through,
                "pruned": found.pruned,
            }
        )

    @router.get("/heads/{session_id}")
    async def session_head(session_id: str) -> Response:
        name = check_name(session_id, "session_id")
        head, log_head = await database.read(partial(reads.heads_of, session_id=name))
        found = {"epoch": database.epoch, "id": head, "log_head": log_head}
        return answered({**found, "starts": database.starts})

    @router.post("/log")
    async def log(request: Request) -> Response:
        wish = asked(await request.body(), LogRequest, settings)
        if not 1 <= wish.limit <= MAX_PAGE:
            raise InvalidInput(f"limit must be 1 to {MAX_PAGE}.")
        name = check_name(wish.session_id, "session_id")
        query = PageQuery(name, _position(wish.after), None, wish.limit)
        page = await database.read(partial(reads.log_stretch, audience=wish.audience, query=query))
        return answered(
            {
                "epoch": database.epoch,
                "head": page.head,
                "through": page.through,
                "messages": page.messages,
            }
        )

    return router


def _position(value: int) -> int:
    if not 0 <= value <= MAX_ID:
        raise InvalidInput(f"a position is 0 to {MAX_ID}.")
    return value
