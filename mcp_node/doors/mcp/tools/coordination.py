"""Tools for dividing work: claim, release."""

from typing import Annotated, Any

from pydantic import Field, StrictFloat, StrictInt
from typing_extensions import TypedDict

from mcp_node.doors.mcp.tools.registry import CHANGES, Tools
from mcp_node.doors.mcp.tools.results import ClaimResult
from mcp_node.doors.mcp.tools.sessions import SessionId
from mcp_node.services import Services
from proto.messages import Principal


class ClaimMade(ClaimResult):
    """What you have claimed, and until when."""

    unread: int


class Released(TypedDict):
    """The names that were claimed and are free now."""

    released: list[str]
    unread: int


def add_claim_tools(tools: Tools, services: Services) -> None:
    """Add the tools of claims to a server."""
    claims = services.claims

    @tools.add(CHANGES, ClaimMade, "coordination")
    async def claim(
        caller: Principal,
        session_id: SessionId,
        names: Annotated[
            list[str],
            Field(description="1 to 20 words, paths or globs: deploy, src/auth/**, docs/*.md."),
        ],
        minutes: Annotated[
            StrictInt | StrictFloat, Field(description="For how long, 1 to 1440.")
        ] = 30,
        note: Annotated[
            str, Field(description="What you do with it, at most 500 characters.")
        ] = "",
    ) -> dict[str, Any]:
        """Say what you work on, before you start; again to renew. All names or none.

        CLAIMED: it overlaps what somebody else has; the error says who, what, until when.
        """
        return await claims.claim(caller, session_id, names, minutes, note)

    @tools.add(CHANGES, Released, "coordination")
    async def release(
        caller: Principal,
        session_id: SessionId,
        names: Annotated[
            list[str] | None, Field(description="Names as claimed; left out: all of yours.")
        ] = None,
    ) -> dict[str, Any]:
        """Give up what you claimed, as soon as it is done."""
        return await claims.release(caller, session_id, names)
