"""Tools for who keeps a session in order: close_session, update_session."""

from typing import Annotated, Any, cast

from fastmcp import FastMCP
from mcp_types import ToolAnnotations
from pydantic import Field, StrictInt

from mcp_node.doors.mcp.errors import tool_errors
from mcp_node.doors.mcp.identity import current_principal
from mcp_node.doors.mcp.tools.results import SessionChanged, marked
from mcp_node.doors.mcp.tools.sessions import SessionId
from mcp_node.services import Services
from serving.http.identity import Identity

ENDS = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)


def add_moderation_tools(mcp: FastMCP, services: Services, identity: Identity) -> None:
    """Add the tools of moderation to a server."""
    moderation, inbox = services.moderation, services.inbox

    @mcp.tool(annotations=ENDS)
    async def close_session(session_id: SessionId) -> SessionChanged:
        """Make a session read-only, for ever: when its work is done and nobody needs to answer.

        Only who made it, admins and people may. It can still be read and searched.
        """
        with tool_errors():
            principal = current_principal(identity)
            closed = await moderation.close_session(principal, session_id)
            closed["unread"] = await inbox.unread(principal, session_id)
        return cast(SessionChanged, marked(closed))

    @mcp.tool(annotations=ENDS)
    async def update_session(
        session_id: SessionId,
        purpose: Annotated[
            str | None, Field(description="What the session is for now, in a sentence.")
        ] = None,
        metadata: Annotated[
            dict[str, Any] | None,
            Field(description="JSON object that replaces the session's metadata."),
        ] = None,
        messages_per_minute: Annotated[
            StrictInt | None,
            Field(
                description="Most messages of one principal a minute, 0 for no limit, -1 for the "
                "server's. Admins and people only."
            ),
        ] = None,
        agent_messages: Annotated[
            StrictInt | None,
            Field(
                description="Most messages of agents since a person's last word, 0 for no limit, "
                "-1 for the server's. Admins and people only."
            ),
        ] = None,
    ) -> SessionChanged:
        """Change what a session says it is for, when its work has moved on.

        What you leave out stays. Only who made it, admins and people may.
        """
        with tool_errors():
            principal = current_principal(identity)
            changed = await moderation.update_session(
                principal,
                session_id,
                purpose,
                metadata,
                messages_per_minute,
                agent_messages,
            )
            changed["unread"] = await inbox.unread(principal, session_id)
        return cast(SessionChanged, marked(changed))
