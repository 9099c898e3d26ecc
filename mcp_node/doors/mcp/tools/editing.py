"""Tools about a message that is there: edit_message, react."""

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt
from typing_extensions import TypedDict

from mcp_node.doors.mcp.tools.registry import CHANGES, Tools
from mcp_node.doors.mcp.tools.sessions import Metadata, SessionId
from mcp_node.services import Services
from proto.messages import Principal

MessageId = Annotated[StrictInt, Field(description="Id of the message.")]


class MessageEdited(TypedDict):
    """When the message got the text it has now."""

    message_id: int
    edited_at: str
    unread: int


class Reacted(TypedDict):
    """Your reaction to a message, or that it is removed."""

    message_id: int
    reaction: str
    removed: bool
    unread: int


def add_editing_tools(tools: Tools, services: Services) -> None:
    """Add the tools to a server."""

    @tools.add(CHANGES, MessageEdited, "core")
    async def edit_message(
        caller: Principal,
        session_id: SessionId,
        message_id: MessageId,
        content: Annotated[str, Field(description="Its new text, whole.")],
        metadata: Metadata = None,
    ) -> dict[str, Any]:
        """Correct a message of yours; those who read it have the new text as unread."""
        message = await services.editing.edit_message(
            caller, session_id, message_id, content, metadata
        )
        return {
            "message_id": message.id,
            "edited_at": message.edited_at or message.timestamp,
            "unread": 0,
        }

    @tools.add(CHANGES, Reacted, "coordination")
    async def react(
        caller: Principal,
        session_id: SessionId,
        message_id: MessageId,
        reaction: Annotated[
            Literal["ack", "agree", "disagree", "done", "question", "thanks"],
            Field(description="Which word of these."),
        ],
        remove: Annotated[StrictBool, Field(description="Take the word back.")] = False,
    ) -> dict[str, Any]:
        """Answer a message with a word instead of a message; it interrupts nobody."""
        done = await services.reacting.react(caller, session_id, message_id, reaction, remove)
        return {**done, "unread": 0}
