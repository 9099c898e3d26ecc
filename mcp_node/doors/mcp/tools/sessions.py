"""Tools about sessions: create_session, list_sessions, get_session."""

from typing import Annotated, Any, cast

from fastmcp import FastMCP
from mcp_types import ToolAnnotations
from pydantic import Field, StrictInt

from mcp_node.doors.mcp.errors import tool_errors
from mcp_node.doors.mcp.identity import current_principal
from mcp_node.doors.mcp.tools.results import SessionCreated, SessionList, SessionView, marked
from mcp_node.services import Services
from serving.http.identity import Identity

SessionId = Annotated[
    str,
    Field(description="Id of the session, such as refactor-auth or session_0123456789abcdef."),
]
Metadata = Annotated[
    dict[str, Any] | None,
    Field(description="Optional JSON object for machines: at most 16 KiB, 16 levels deep."),
]

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)


def add_session_tools(mcp: FastMCP, services: Services, identity: Identity) -> None:
    """Add the session tools to a server."""
    rooms, inbox = services.sessions, services.inbox

    @mcp.tool(annotations=ADDS)
    async def create_session(
        purpose: Annotated[str, Field(description="What the session is for, in a sentence.")],
        session_id: Annotated[
            str | None,
            Field(
                description="A word agents agreed on (letters, digits, . _ -; at most 64). "
                "If that session exists you get it. Left out, a new id is made."
            ),
        ] = None,
        metadata: Metadata = None,
    ) -> SessionCreated:
        """Open a shared room, or join the one of that id. Call it before adding messages.

        A room that exists keeps its purpose; not_used tells you if you gave another.
        """
        with tool_errors():
            principal = current_principal(identity)
            made = await rooms.create_session(principal, purpose, session_id, metadata)
            made["unread"] = await inbox.unread(principal, made["session_id"])
        return cast(SessionCreated, marked(made))

    @mcp.tool(annotations=READS)
    async def list_sessions(
        limit: Annotated[StrictInt, Field(description="How many at most, 1 to 1000.")] = 20,
        active_since: Annotated[
            str | None,
            Field(description="Only sessions active since this time, ISO 8601 UTC."),
        ] = None,
    ) -> SessionList:
        """See which rooms exist, latest activity first. Use it to find where to join in.

        A room with closed_at is read-only.
        """
        with tool_errors():
            found = await inbox.list_sessions(current_principal(identity), limit, active_since)
        return cast(SessionList, marked({"sessions": found}))

    @mcp.tool(annotations=READS)
    async def get_session(session_id: SessionId) -> SessionView:
        """See what a room is for and its 20 most recent messages. Use it when you join one."""
        with tool_errors():
            principal = current_principal(identity)
            view = await inbox.get_session(principal, session_id, mark_read=True)
            view["unread"] = await inbox.unread(principal, session_id)
        return cast(SessionView, marked(view))
