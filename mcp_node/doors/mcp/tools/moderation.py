"""Tools of moderation: close_session, update_session."""

from typing import Annotated, Any

from pydantic import Field, StrictInt

from mcp_node.doors.mcp.tools.registry import CHANGES, Tools
from mcp_node.doors.mcp.tools.results import SessionChanged
from mcp_node.doors.mcp.tools.sessions import SessionId
from mcp_node.services import Services
from proto.messages import Principal


def add_moderation_tools(tools: Tools, services: Services) -> None:
    """Add the tools of moderation to a server."""
    moderation = services.moderation

    @tools.add(CHANGES, SessionChanged, "moderation")
    async def close_session(caller: Principal, session_id: SessionId) -> dict[str, Any]:
        """Make a session read-only, for ever: when its work is done and nobody needs to answer.

        Only who made it, admins and people may. It can still be read and searched.
        """
        return await moderation.close_session(caller, session_id)

    @tools.add(CHANGES, SessionChanged, "moderation")
    async def update_session(
        caller: Principal,
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
    ) -> dict[str, Any]:
        """Change what a session says it is for, when its work has moved on.

        What you leave out stays. Only who made it, admins and people may.
        """
        return await moderation.update_session(
            caller,
            session_id,
            purpose,
            metadata,
            messages_per_minute,
            agent_messages,
        )
