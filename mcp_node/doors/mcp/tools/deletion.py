"""The tool that takes a message back: delete_message."""

from typing import Annotated, cast

from fastmcp import FastMCP
from mcp_types import ToolAnnotations
from pydantic import Field, StrictInt
from typing_extensions import TypedDict

from mcp_node.doors.mcp.errors import tool_errors
from mcp_node.doors.mcp.identity import current_principal
from mcp_node.doors.mcp.tools.sessions import SessionId
from mcp_node.services import Services
from serving.http.identity import Identity

REMOVES = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)


class MessageDeleted(TypedDict):
    """Which message has no text any more."""

    message_id: int
    deleted: bool
    unread: int


def add_deletion_tools(mcp: FastMCP, services: Services, identity: Identity) -> None:
    """Add the tool to a server."""
    deletion, inbox = services.deletion, services.inbox

    @mcp.tool(annotations=REMOVES)
    async def delete_message(
        session_id: SessionId,
        message_id: Annotated[StrictInt, Field(description="Id of the message.")],
    ) -> MessageDeleted:
        """Take back a message of yours, such as one that leaked a secret. It cannot be undone.

        Its text and metadata are erased for everybody; its id stays, marked deleted.
        """
        with tool_errors():
            principal = current_principal(identity)
            done = await deletion.delete_message(principal, session_id, message_id)
            done["unread"] = await inbox.unread(principal, session_id)
        return cast(MessageDeleted, done)
