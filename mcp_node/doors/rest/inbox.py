"""REST routes of readers: who is in a session, and how far the caller has read."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mcp_node.doors.rest.caller import Caller
from mcp_node.doors.rest.documents import SessionId, documented
from mcp_node.inbox.roster import AgentListed
from mcp_node.services import Services


class ReadBody(BaseModel):
    """How far somebody has read."""

    model_config = ConfigDict(extra="forbid", strict=True)

    through: int = Field(description="Id of the last message that was read.")


class UnreadAnswer(BaseModel):
    """Others' messages that are not read yet, up to 1,000."""

    unread: int


class AgentAnswer(AgentListed):
    """Somebody who was in the session; ``waiting``: for messages, right now."""


class AgentsAnswer(BaseModel):
    """Agents and people of a session, the latest seen first."""

    agents: list[AgentAnswer]


def make_inbox_api(services: Services) -> APIRouter:
    """The routes of a session's readers, under /api/sessions/{session_id}."""
    router = APIRouter(prefix="/api/sessions/{session_id}", tags=["rooms"])

    @router.get(
        "/agents",
        summary="Who is in a session",
        response_model=AgentsAnswer,
        responses=documented(404, 503),
    )
    async def agents(caller: Caller, session_id: SessionId) -> dict[str, Any]:
        return {"agents": await services.roster.agents(caller, session_id)}

    @router.post(
        "/read",
        summary="Say how far one has read",
        response_model=UnreadAnswer,
        responses=documented(404, 413, 415, 503),
    )
    async def read(caller: Caller, session_id: SessionId, body: ReadBody) -> dict[str, Any]:
        return {"unread": await services.inbox.read_through(caller, session_id, body.through)}

    return router
