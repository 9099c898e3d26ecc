"""Who is at work in sessions, for ws_node. Between the nodes only."""

import msgspec
from fastapi import APIRouter, Request, Response

from mcp_node.doors.rest.service import answered, asked, service_router
from mcp_node.inbox.presence import MOST_SESSIONS, AgentPresence
from proto.errors import InvalidInput
from proto.names import check_name
from proto.settings import Settings


class AgentsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The sessions somebody watches."""

    session_ids: list[str]


def make_presence_api(presence: AgentPresence, settings: Settings) -> APIRouter:
    """The route /api/agents, outside the OpenAPI document."""
    router = service_router()

    @router.post("/agents")
    async def agents(request: Request) -> Response:
        wish = asked(await request.body(), AgentsRequest, settings)
        if len(wish.session_ids) > MOST_SESSIONS:
            raise InvalidInput(f"session_ids are {MOST_SESSIONS} at most.")
        names = [check_name(name, "session_ids") for name in wish.session_ids]
        return answered({"agents": await presence.at_work(names)})

    return router
