"""REST routes of sessions and messages, with the same services as the tools."""

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from mcp_node.doors.rest.caller import Caller
from mcp_node.doors.rest.documents import WRITING, FieldsText, SessionId, documented
from mcp_node.services import Services
from mcp_node.sessions.append_messages import shown_together
from mcp_node.sessions.checks import MOST_TOGETHER, check_page, parse_fields
from mcp_node.sessions.guard import ShownLimits

Level = Literal["public", "private", "agent_only", "admin_only"]


class SessionBody(BaseModel):
    """What a new session is made of."""

    model_config = ConfigDict(extra="forbid", strict=True)

    purpose: str = Field(description="What the session is for, at most 2,000 characters.")
    session_id: str | None = Field(None, description="Get-or-create under this id.")
    metadata: dict[str, Any] | None = Field(None, description="At most 16 KiB, 16 levels.")


class MessageBody(BaseModel):
    """What a new message is made of."""

    model_config = ConfigDict(extra="forbid", strict=True)

    content: str = Field(description="The text, 1 to 100,000 characters.")
    visibility: Level = Field("public", description="Who sees it.")
    metadata: dict[str, Any] | None = Field(None, description="At most 16 KiB, 16 levels.")
    parent_message_id: int | None = Field(
        None, description="The message replied to; no more may see the reply than may see that."
    )
    idempotency_key: str | None = Field(
        None, description="A retry with the same key gives the first answer; 1 to 128 characters."
    )
    if_last_seen: int | None = Field(
        None, description="Refused with MOVED_ON and the messages if others have spoken after it."
    )


class MessageItem(BaseModel):
    """One of several new messages; the fields are as for one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    content: str
    visibility: Level = "public"
    metadata: dict[str, Any] | None = None
    parent_message_id: int | None = Field(None, description="A message that is there already.")


class MessagesBody(BaseModel):
    """Several new messages."""

    model_config = ConfigDict(extra="forbid", strict=True)

    messages: list[MessageItem] = Field(min_length=1, max_length=MOST_TOGETHER)
    idempotency_key: str | None = Field(
        None, description="A retry of the whole call with the same key gives the first answer."
    )


class SessionAnswer(BaseModel):
    """A session; ``closed_at`` is null while it is open.

    ``hidden_characters``: how many of its purpose and metadata nobody sees, if there are any.
    """

    session_id: str
    purpose: str
    metadata: dict[str, Any]
    created_by: str
    created_at: str
    closed_at: str | None
    hidden_characters: int = 0


class LimitsAnswer(ShownLimits):
    """What may be said in a session before its guard against loops steps in; 0: no limit."""


class SessionMade(SessionAnswer):
    """A session, and whether this call made it.

    ``not_used``: that it was there already and did not take the purpose or metadata given.
    """

    created: bool
    not_used: str = ""


class SessionListed(SessionAnswer):
    """A session, what the caller may see in it: when that last moved, and how many messages."""

    last_activity: str
    message_count: int


class SessionListAnswer(BaseModel):
    """Sessions, latest activity first."""

    sessions: list[SessionListed]


class ReactersAnswer(BaseModel):
    """How many have a reaction to a message, and the first twenty of them."""

    count: int
    names: list[str]


class MessageAnswer(BaseModel):
    """A message; of one that was deleted the texts are empty, and ``deleted`` is true.

    ``edited_at``: when it got the text it has now, if it was edited. ``reactions``: if it has any.

    ``hidden_characters``: how many of its text and metadata nobody sees, if there are any.
    """

    id: int
    sender: str
    sender_type: str
    content: str
    visibility: str
    timestamp: str
    metadata: dict[str, Any]
    parent_message_id: int | None
    edited_at: str = ""
    reactions: dict[str, ReactersAnswer] = {}
    deleted: bool = False
    hidden_characters: int = 0


class PageAnswer(BaseModel):
    """Messages ascending by id."""

    messages: list[MessageAnswer]
    has_more: bool


class ClaimAnswer(BaseModel):
    """Names that ``holder`` works on until a time.

    ``hidden_characters``: how many of its note nobody sees, if there are any.
    """

    names: list[str]
    holder: str
    until: str
    note: str = ""
    hidden_characters: int = 0


class SessionViewAnswer(SessionAnswer, PageAnswer):
    """A session and its most recent messages; ``message_count`` is of all the caller may see.

    ``claims``: what is claimed in it, if anything is.
    """

    claims: list[ClaimAnswer] = []
    message_count: int
    limits: LimitsAnswer


class MessageMade(BaseModel):
    """The place and time a new message was given.

    ``unknown_mentions``: names in it that call nobody who was in the session and may see it.
    ``deleted``: this is a retry, and the message was deleted since it was added.
    """

    message_id: int
    timestamp: str
    unknown_mentions: list[str] = []
    deleted: bool = False


class MessagesMade(BaseModel):
    """The ids of new messages, in their order, which follow one another.

    ``unknown_mentions``: as for one. ``deleted``: this is a retry, and these were deleted since.
    """

    message_ids: list[int]
    unknown_mentions: list[str] = []
    deleted: list[int] = []


class MessageDeleted(BaseModel):
    """Which message has no text any more."""

    message_id: int
    deleted: bool


def make_api(services: Services) -> APIRouter:
    """The routes under /api."""
    sessions = services.sessions
    router = APIRouter(prefix="/api", tags=["rooms"])

    @router.get(
        "/sessions",
        summary="List sessions",
        response_model=SessionListAnswer,
        response_model_exclude_unset=True,  # `hidden_characters`
        responses=documented(),
    )
    async def list_sessions(
        caller: Caller, limit: int = 20, active_since: str | None = None
    ) -> dict[str, Any]:
        return {"sessions": await sessions.list_sessions(caller, limit, active_since)}

    @router.post(
        "/sessions",
        summary="Make a session, or get it",
        response_model=SessionMade,
        response_model_exclude_unset=True,
        response_description="It was there already.",
        responses={
            201: {"model": SessionMade, "description": "It was made."},
            **documented(*WRITING),
        },
    )
    async def create_session(
        caller: Caller, body: SessionBody, response: Response
    ) -> dict[str, Any]:
        made = await sessions.create_session(caller, body.purpose, body.session_id, body.metadata)
        response.status_code = 201 if made["created"] else 200
        return made

    @router.get(
        "/sessions/{session_id}",
        summary="A session",
        response_model=SessionViewAnswer,
        response_model_exclude_unset=True,  # `deleted`, `hidden_characters`
        responses=documented(404),
    )
    async def get_session(caller: Caller, session_id: SessionId) -> dict[str, Any]:
        return await services.inbox.get_session(caller, session_id, mark_read=False)

    @router.get(
        "/sessions/{session_id}/messages",
        summary="A page of messages",
        response_model=PageAnswer,
        response_model_exclude_unset=True,
        responses=documented(404),
    )
    async def get_messages(
        caller: Caller,
        session_id: SessionId,
        after: int | None = None,
        before: int | None = None,
        limit: int = 50,
        sender: str | None = None,
        visibility: Level | None = None,
        thread: int | None = None,
        metadata: FieldsText = None,
    ) -> dict[str, Any]:
        fields = parse_fields(metadata)
        query = check_page(session_id, after, before, limit, sender, visibility, thread, fields)
        return await services.inbox.get_messages(caller, query, mark_read=False)

    @router.post(
        "/sessions/{session_id}/messages",
        summary="Add a message",
        response_model=MessageMade,
        response_model_exclude_unset=True,
        status_code=201,
        responses=documented(404, 409, *WRITING),
    )
    async def add_message(
        caller: Caller, session_id: SessionId, body: MessageBody
    ) -> dict[str, Any]:
        message = await sessions.add_message(
            caller,
            session_id,
            body.content,
            body.visibility,
            body.metadata,
            body.parent_message_id,
            body.idempotency_key,
            if_last_seen=body.if_last_seen,
        )
        made: dict[str, Any] = {"message_id": message.id, "timestamp": message.timestamp}
        if unknown := await services.roster.unreached(caller, message):
            made["unknown_mentions"] = unknown
        if message.deleted:
            made["deleted"] = True
        return made

    @router.post(
        "/sessions/{session_id}/messages/batch",
        summary="Add several messages",
        description="All or none, in their order.",
        response_model=MessagesMade,
        response_model_exclude_unset=True,
        status_code=201,
        responses=documented(404, 409, *WRITING),
    )
    async def add_messages(
        caller: Caller, session_id: SessionId, body: MessagesBody
    ) -> dict[str, Any]:
        items = [item.model_dump(exclude_unset=True) for item in body.messages]
        added = await sessions.add_messages(caller, session_id, items, body.idempotency_key)
        unknown = await services.roster.unreached(caller, *added.messages)
        return shown_together(added, unknown)

    @router.delete(
        "/sessions/{session_id}/messages/{message_id}",
        summary="Delete a message",
        description="By its sender, or an admin who may see it. Its text and metadata are erased;"
        " its id stays, marked deleted. The same again has the same answer.",
        response_model=MessageDeleted,
        responses=documented(404, 429, 503),
    )
    async def delete_message(
        caller: Caller, session_id: SessionId, message_id: int
    ) -> dict[str, Any]:
        return await services.deletion.delete_message(caller, session_id, message_id)

    return router
