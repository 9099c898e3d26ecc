"""REST routes of moderation: closing and changing a session."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mcp_node.doors.rest.caller import Caller
from mcp_node.doors.rest.documents import WRITING, SessionId, documented
from mcp_node.doors.rest.sessions import LimitsAnswer, SessionAnswer
from mcp_node.sessions.moderation import Moderation


class SessionChange(BaseModel):
    """What is to be different; what is left out or null stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    purpose: str | None = Field(None, description="At most 2,000 characters.")
    metadata: dict[str, Any] | None = Field(None, description="Replaces all that was there.")
    messages_per_minute: int | None = Field(
        None, description="Of one principal; 0: no limit, -1: the server's. Admins and people only."
    )
    agent_messages: int | None = Field(
        None,
        description="Since a person's last word; 0: no limit, -1: the server's. Admins and people"
        " only.",
    )


class Closing(BaseModel):
    """Nothing: an empty object."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SessionChanged(SessionAnswer):
    """A session, and the limits in force in it."""

    limits: LimitsAnswer


def make_moderation_api(moderation: Moderation) -> APIRouter:
    """The routes under /api that change a session."""
    router = APIRouter(prefix="/api", tags=["rooms"])

    @router.patch(
        "/sessions/{session_id}",
        summary="Change a session",
        response_model=SessionChanged,
        response_model_exclude_unset=True,  # `hidden_characters`
        responses=documented(404, 409, *WRITING),
    )
    async def update_session(
        caller: Caller, session_id: SessionId, body: SessionChange
    ) -> dict[str, Any]:
        return await moderation.update_session(
            caller,
            session_id,
            body.purpose,
            body.metadata,
            body.messages_per_minute,
            body.agent_messages,
        )

    @router.post(
        "/sessions/{session_id}/close",
        summary="Make a session read-only, for ever",
        response_model=SessionChanged,
        response_model_exclude_unset=True,  # `hidden_characters`
        responses=documented(404, *WRITING),
    )
    async def close_session(caller: Caller, session_id: SessionId, body: Closing) -> dict[str, Any]:
        return await moderation.close_session(caller, session_id)

    return router
