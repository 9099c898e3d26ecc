"""Tools about messages: add_message, add_messages, get_messages."""

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt

from mcp_node.doors.mcp.tools.registry import ADDS, READS, Tools
from mcp_node.doors.mcp.tools.results import MessageAdded, MessagePage, MessagesAdded
from mcp_node.doors.mcp.tools.sessions import Metadata, SessionId
from mcp_node.services import Services
from mcp_node.sessions.append_messages import shown_together
from mcp_node.sessions.checks import MOST_TOGETHER, check_page
from proto.errors import InvalidInput, MovedOn
from proto.messages import Principal

Visible = Literal["public", "private", "agent_only", "admin_only"]
Level = Annotated[
    Visible,
    Field(
        description="Who sees it. private: only you; agent_only: agents of your type; "
        "admin_only: admins, needs the scope admin."
    ),
]


def add_message_tools(tools: Tools, services: Services) -> None:
    """Add the message tools to a server."""

    @tools.add(ADDS, MessageAdded, "core")
    async def add_message(
        caller: Principal,
        session_id: SessionId,
        content: Annotated[str, Field(description="At most 100,000 characters.")],
        visibility: Level = "public",
        metadata: Metadata = None,
        parent_message_id: Annotated[
            StrictInt | None,
            Field(
                description="Id of the message you reply to. No more may see the reply than that."
            ),
        ] = None,
        idempotency_key: Annotated[
            str | None,
            Field(description="Any word of yours; a retry with it adds nothing twice."),
        ] = None,
        speaking_as: Annotated[
            str | None,
            Field(description="A sub-agent's name, shown as you/name."),
        ] = None,
        if_last_seen: Annotated[
            StrictInt | None,
            Field(
                description="Highest id you have seen. If others spoke after it: MOVED_ON, with "
                "their messages."
            ),
        ] = None,
    ) -> dict[str, Any]:
        """Say something in a session: findings, plans, questions. People watch it live.

        @name calls somebody, a reply whom it answers; unknown_mentions are names that reach nobody.
        If you got no result, call again with the same idempotency_key. If unread is not 0, others
        have spoken: get_messages(unread_only=true).
        """
        try:
            message = await services.sessions.add_message(
                caller,
                session_id,
                content,
                visibility,
                metadata,
                parent_message_id,
                idempotency_key,
                speaking_as,
                if_last_seen,
            )
        except MovedOn as moved:
            await services.inbox.was_told(caller, session_id, moved.messages)
            raise
        added: dict[str, Any] = {
            "message_id": message.id,
            "timestamp": message.timestamp,
            "unread": 0,  # counted by `Tools`; here for its place among the fields
        }
        if unknown := await services.roster.unreached(caller, message):
            added["unknown_mentions"] = unknown
        if message.deleted:
            added["deleted"] = True
        return added

    @tools.add(ADDS, MessagesAdded, "core")
    async def add_messages(
        caller: Principal,
        session_id: SessionId,
        messages: Annotated[
            list[dict[str, Any]],
            Field(
                description="Each {content, visibility, metadata, parent_message_id}, as in "
                "add_message.",
                min_length=1,
                max_length=MOST_TOGETHER,
            ),
        ],
        idempotency_key: Annotated[str | None, Field(description="As in add_message.")] = None,
    ) -> dict[str, Any]:
        """Say several things at once, in order: all are added, or none."""
        added = await services.sessions.add_messages(caller, session_id, messages, idempotency_key)
        unknown = await services.roster.unreached(caller, *added.messages)
        return {"unread": 0, **shown_together(added, unknown)}

    @tools.add(READS, MessagePage, "core")
    async def get_messages(
        caller: Principal,
        session_id: SessionId,
        after: Annotated[
            StrictInt | None,
            Field(description="Only higher ids; the first of them."),
        ] = None,
        before: Annotated[
            StrictInt | None, Field(description="Only lower ids; the last of them.")
        ] = None,
        limit: Annotated[StrictInt, Field(description="At most so many, 1 to 1000.")] = 50,
        sender: Annotated[str | None, Field(description="Only this sender's.")] = None,
        visibility: Annotated[
            Visible | None,
            Field(description="Only of this visibility."),
        ] = None,
        thread: Annotated[
            StrictInt | None,
            Field(description="Only under this message, at any depth."),
        ] = None,
        metadata: Annotated[
            dict[str, Any] | None,
            Field(description='Only with this metadata, such as {"kind": "finding"}.'),
        ] = None,
        unread_only: Annotated[
            StrictBool,
            Field(
                description="Only what others said and you have not read; goes with limit alone."
            ),
        ] = False,
        revisions_of: Annotated[
            StrictInt | None,
            Field(description="All texts you saw of this message; goes alone."),
        ] = None,
    ) -> dict[str, Any]:
        """Read messages, oldest first: the newest unless after or before is given.

        To catch up use unread_only. What you get counts as read. An entry with deletes or edits
        says that a message you had was taken back or has a new text.
        """
        filters = (sender, visibility, thread, metadata)
        if revisions_of is not None:
            if unread_only or any(value is not None for value in (after, before, *filters)):
                raise InvalidInput("revisions_of goes alone.", "Leave out the other arguments.")
            return await services.inbox.get_revisions(caller, session_id, revisions_of)
        if not unread_only:
            query = check_page(session_id, after, before, limit, *filters)
            return await services.inbox.get_messages(caller, query, mark_read=True)
        if any(value is not None for value in (after, before, *filters)):
            raise InvalidInput(
                "unread_only goes with limit alone.",
                "Leave out the other arguments.",
            )
        return await services.inbox.get_unread(caller, session_id, limit)
