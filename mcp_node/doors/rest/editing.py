"""REST routes about a message that is there: editing, its earlier texts, reactions."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from mcp_node.doors.rest.caller import Caller
from mcp_node.doors.rest.documents import WRITING, SessionId, documented
from mcp_node.doors.rest.sessions import MessageAnswer
from mcp_node.services import Services

Reaction = Literal["ack", "agree", "disagree", "done", "question", "thanks"]


class EditBody(BaseModel):
    """The new text of a message."""

    model_config = ConfigDict(extra="forbid", strict=True)

    content: str = Field(description="The text, 1 to 100,000 characters.")
    metadata: dict[str, Any] | None = Field(
        None, description="Replaces what was there; left out or null: as it is."
    )


class ReactionBody(BaseModel):
    """Nothing: an empty object."""

    model_config = ConfigDict(extra="forbid", strict=True)


class RevisionsAnswer(BaseModel):
    """A message with each of its texts that the caller saw, oldest first; the last is today's."""

    messages: list[MessageAnswer]


class ReactionAnswer(BaseModel):
    """A reaction of the caller's, or that it is removed."""

    message_id: int
    reaction: Reaction
    removed: bool


def make_editing_api(services: Services) -> APIRouter:
    """The routes under /api."""
    editing, reacting = services.editing, services.reacting
    router = APIRouter(prefix="/api", tags=["rooms"])
    message = "/sessions/{session_id}/messages/{message_id}"

    @router.patch(
        message,
        summary="Edit a message",
        description="By its sender. Those who read the old text have the new one as unread.",
        response_model=MessageAnswer,
        response_model_exclude_unset=True,
        responses=documented(404, 409, *WRITING),
    )
    async def edit_message(
        caller: Caller, session_id: SessionId, message_id: int, body: EditBody
    ) -> dict[str, Any]:
        edited = await editing.edit_message(
            caller, session_id, message_id, body.content, body.metadata
        )
        return edited.shown()

    @router.get(
        f"{message}/revisions",
        summary="The texts of a message",
        response_model=RevisionsAnswer,
        response_model_exclude_unset=True,
        responses=documented(404),
    )
    async def get_revisions(
        caller: Caller, session_id: SessionId, message_id: int
    ) -> dict[str, Any]:
        page = await services.inbox.get_revisions(caller, session_id, message_id)
        return {"messages": page["messages"]}

    @router.put(
        f"{message}/reactions/{{reaction}}",
        summary="React to a message",
        description="The same again has the same answer.",
        response_model=ReactionAnswer,
        responses=documented(404, 409, *WRITING),
    )
    async def react(
        caller: Caller,
        session_id: SessionId,
        message_id: int,
        reaction: Reaction,
        body: ReactionBody,
    ) -> dict[str, Any]:
        return await reacting.react(caller, session_id, message_id, reaction)

    @router.delete(
        f"{message}/reactions/{{reaction}}",
        summary="Take a reaction back",
        description="The same again has the same answer.",
        response_model=ReactionAnswer,
        responses=documented(404, 409, 429, 503),
    )
    async def remove_reaction(
        caller: Caller, session_id: SessionId, message_id: int, reaction: Reaction
    ) -> dict[str, Any]:
        return await reacting.react(caller, session_id, message_id, reaction, remove=True)

    return router
