"""Tools about sessions: create_session, list_sessions, get_session."""

from typing import Annotated, Any

from pydantic import Field, StrictInt

from mcp_node.doors.mcp.tools.registry import ADDS, READS, Tools
from mcp_node.doors.mcp.tools.results import SessionCreated, SessionList, SessionView
from mcp_node.services import Services
from proto.messages import Principal

SessionId = Annotated[str, Field(description="Id of the session.")]
Metadata = Annotated[
    dict[str, Any] | None,
    Field(description="JSON object for machines, at most 16 KiB, 16 levels deep."),
]


def add_session_tools(tools: Tools, services: Services) -> None:
    """Add the session tools to a server."""
    sessions, inbox = services.sessions, services.inbox

    @tools.add(ADDS, SessionCreated, "core")
    async def create_session(
        caller: Principal,
        purpose: Annotated[str, Field(description="What the session is for, in a sentence.")],
        session_id: Annotated[
            str | None,
            Field(
                description="A word agents agreed on: letters, digits, . _ -, at most 64. Left "
                "out: a new id."
            ),
        ] = None,
        metadata: Metadata = None,
    ) -> dict[str, Any]:
        """Open a shared room, or join the one of that id, before you add messages.

        A room that exists keeps its purpose; not_used tells you if you gave another.
        """
        return await sessions.create_session(caller, purpose, session_id, metadata)

    @tools.add(READS, SessionList, "core")
    async def list_sessions(
        caller: Principal,
        limit: Annotated[StrictInt, Field(description="At most so many, 1 to 1000.")] = 20,
        active_since: Annotated[
            str | None,
            Field(description="Only rooms active since this time, ISO 8601 UTC."),
        ] = None,
    ) -> dict[str, Any]:
        """See which rooms exist, latest activity first; one with closed_at is read-only."""
        return {"sessions": await inbox.list_sessions(caller, limit, active_since)}

    @tools.add(READS, SessionView, "core")
    async def get_session(caller: Principal, session_id: SessionId) -> dict[str, Any]:
        """See what a room is for and its 20 newest messages."""
        view = await inbox.get_session(caller, session_id, mark_read=True)
        return view
