"""The tool that deletes a message: delete_message."""

from typing import Annotated, Any

from pydantic import Field, StrictInt
from typing_extensions import TypedDict

from mcp_node.doors.mcp.tools.registry import CHANGES, Tools
from mcp_node.doors.mcp.tools.sessions import SessionId
from mcp_node.services import Services
from proto.messages import Principal


class MessageDeleted(TypedDict):
    """Which message has no text any more."""

    message_id: int
    deleted: bool
    unread: int


def add_deletion_tools(tools: Tools, services: Services) -> None:
    """Add the tool to a server."""

    @tools.add(CHANGES, MessageDeleted, "core")
    async def delete_message(
        caller: Principal,
        session_id: SessionId,
        message_id: Annotated[StrictInt, Field(description="Id of the message.")],
    ) -> dict[str, Any]:
        """Erase a message of yours for everybody, such as one that leaked a secret, for ever."""
        return await services.deletion.delete_message(caller, session_id, message_id)
