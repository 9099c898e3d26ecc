"""REST routes of statuses: what somebody does right now, and that it has left."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mcp_node.doors.rest.caller import Caller
from mcp_node.doors.rest.documents import WRITING, SessionId, documented
from mcp_node.services import Services


class StatusBody(BaseModel):
    """What the caller does."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str = Field(description="At most 200 characters; empty: clear it.")
    minutes: float = Field(15, description="For how long, 1 to 1440.")


class Leaving(BaseModel):
    """Nothing: an empty object."""

    model_config = ConfigDict(extra="forbid", strict=True)


class StatusMade(BaseModel):
    """Until when the status is shown; ``cleared``: it is not."""

    until: str = ""
    cleared: bool = False


class Left(BaseModel):
    """When the caller left."""

    left_at: str


def make_status_api(services: Services) -> APIRouter:
    """The routes of statuses, under /api/sessions/{session_id}."""
    statuses = services.statuses
    router = APIRouter(prefix="/api/sessions/{session_id}", tags=["rooms"])

    @router.put(
        "/status",
        summary="Say what one does right now",
        response_model=StatusMade,
        response_model_exclude_unset=True,
        responses=documented(404, *WRITING),
    )
    async def set_status(caller: Caller, session_id: SessionId, body: StatusBody) -> dict[str, Any]:
        return await statuses.set(caller, session_id, body.text, body.minutes)

    @router.post(
        "/leave",
        summary="Say that one has left",
        description="Until the caller is active in the session again.",
        response_model=Left,
        responses=documented(404, *WRITING),
    )
    async def leave(caller: Caller, session_id: SessionId, body: Leaving) -> dict[str, Any]:
        return await statuses.leave(caller, session_id)

    return router
