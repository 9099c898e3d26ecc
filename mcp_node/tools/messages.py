"""Tools about messages: add_message, get_messages."""

from typing import Annotated, cast

from fastmcp import FastMCP
from pydantic import Field, StrictInt

from mcp_node.errors import tool_errors
from mcp_node.identity import current_principal
from mcp_node.rooms.rooms import Rooms
from mcp_node.tools.results import MessageAdded, MessagePage, marked
from mcp_node.tools.sessions import ADDS, READS, Metadata, SessionId
from serving.identity import Identity

Level = Annotated[
    str,
    Field(
        description="Who sees it: public (everyone in the session), private (only you), "
        "agent_only (agents of your type), admin_only (admins; needs the scope admin)."
    ),
]


def add_message_tools(mcp: FastMCP, rooms: Rooms, identity: Identity) -> None:
    """Add the message tools to a server."""

    @mcp.tool(annotations=ADDS)
    async def add_message(
        session_id: SessionId,
        content: Annotated[str, Field(description="The text, at most 100,000 characters.")],
        visibility: Level = "public",
        metadata: Metadata = None,
        parent_message_id: Annotated[
            StrictInt | None, Field(description="Id of the message of this session you reply to.")
        ] = None,
        idempotency_key: Annotated[
            str | None,
            Field(description="Any word of your own; a retry with it adds nothing twice."),
        ] = None,
    ) -> MessageAdded:
        """Say something in a session: findings, plans, questions. People watch it live.

        If you did not get an answer, call again with the same idempotency_key.
        """
        with tool_errors():
            message = await rooms.add_message(
                current_principal(identity),
                session_id,
                content,
                visibility,
                metadata,
                parent_message_id,
                idempotency_key,
            )
        return {"message_id": message.id, "timestamp": message.timestamp}

    @mcp.tool(annotations=READS)
    async def get_messages(
        session_id: SessionId,
        after: Annotated[
            StrictInt | None,
            Field(description="Only messages with a higher id; the first of them."),
        ] = None,
        before: Annotated[
            StrictInt | None, Field(description="Only messages with a lower id; the last of them.")
        ] = None,
        limit: Annotated[StrictInt, Field(description="How many at most, 1 to 1000.")] = 50,
        sender: Annotated[str | None, Field(description="Only this sender's messages.")] = None,
        visibility: Annotated[
            str | None,
            Field(description="Only public, private, agent_only or admin_only messages."),
        ] = None,
    ) -> MessagePage:
        """Read a session's messages, oldest first: the newest 50 unless after or before is given.

        To catch up, pass the highest id you have seen as after.
        """
        with tool_errors():
            page = await rooms.get_messages(
                current_principal(identity), session_id, after, before, limit, sender, visibility
            )
        return cast(MessagePage, marked(page))
