"""Which agents are at work in sessions, for ws_node. Internal API (`proto.internal_api`)."""

from fastapi import APIRouter, Request, Response

from mcp_node.doors.rest.service import decode_body, json_response, service_router
from mcp_node.inbox.presence import AgentPresence
from proto.errors import InvalidInput
from proto.internal_api import AGENTS, MAX_AGENTS_SESSIONS, AgentsAnswer, AgentsRequest
from proto.names import check_name
from proto.settings import Settings


def make_presence_api(presence: AgentPresence, settings: Settings) -> APIRouter:
    """The route /api/agents, outside the OpenAPI document."""
    router = service_router()

    @router.post(AGENTS)
    async def agents(request: Request) -> Response:
        wish = decode_body(await request.body(), AgentsRequest, settings)
        if len(wish.session_ids) > MAX_AGENTS_SESSIONS:
            raise InvalidInput(f"session_ids are {MAX_AGENTS_SESSIONS} at most.")
        names = [check_name(name, "session_ids") for name in wish.session_ids]
        found = await presence.at_work(names)
        return json_response(AgentsAnswer({name: tuple(agents) for name, agents in found.items()}))

    return router
