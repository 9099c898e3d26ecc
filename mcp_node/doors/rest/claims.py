"""REST routes of claims."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mcp_node.doors.rest.caller import Caller
from mcp_node.doors.rest.documents import WRITING, SessionId, documented
from mcp_node.doors.rest.sessions import ClaimAnswer
from mcp_node.services import Services


class ClaimBody(BaseModel):
    """What to claim."""

    model_config = ConfigDict(extra="forbid", strict=True)

    names: list[str] = Field(description="1 to 20 words, paths or globs, such as src/auth/**.")
    minutes: float = Field(30, description="For how long, 1 to 1440.")
    note: str = Field("", description="What for, at most 500 characters.")


class ReleaseBody(BaseModel):
    """What to release."""

    model_config = ConfigDict(extra="forbid", strict=True)

    names: list[str] | None = Field(
        None,
        description="Left out: all of the caller's. Admins and people can name what others have.",
    )


class ClaimListed(ClaimAnswer):
    """A claim; ``mine``: it is the caller's."""

    mine: bool


class ClaimsAnswer(BaseModel):
    """What is claimed in a session, what ends first first."""

    claims: list[ClaimListed]


class Released(BaseModel):
    """The names that were claimed and are free now."""

    released: list[str]


def make_claims_api(services: Services) -> APIRouter:
    """The routes of claims, under /api/sessions/{session_id}."""
    claims = services.claims
    router = APIRouter(prefix="/api/sessions/{session_id}", tags=["rooms"])

    @router.get(
        "/claims",
        summary="What is claimed in a session",
        response_model=ClaimsAnswer,
        response_model_exclude_unset=True,
        responses=documented(404, 503),
    )
    async def list_claims(caller: Caller, session_id: SessionId) -> dict[str, Any]:
        return await claims.list(caller, session_id)

    @router.post(
        "/claims",
        summary="Claim names, all or none",
        description="Names that the caller has are renewed. An overlap with what somebody else has"
        " is refused (CLAIMED); error.claims says who has what until when.",
        response_model=ClaimAnswer,
        response_model_exclude_unset=True,
        responses=documented(404, 409, *WRITING),
    )
    async def claim(caller: Caller, session_id: SessionId, body: ClaimBody) -> dict[str, Any]:
        return await claims.claim(caller, session_id, body.names, body.minutes, body.note)

    @router.post(
        "/claims/release",
        summary="Release names",
        description="Names that nobody has, or that the caller cannot release, are left out.",
        response_model=Released,
        responses=documented(404, *WRITING),
    )
    async def release(caller: Caller, session_id: SessionId, body: ReleaseBody) -> dict[str, Any]:
        return await claims.release(caller, session_id, body.names)

    return router
