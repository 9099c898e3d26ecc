"""The data model: messages, sessions, principals, and their timestamps."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from proto.hidden import hidden_characters, hidden_in_json
from proto.toolsets import Toolset

MAX_ID: Final = 2**53
"""Highest id and position: every JSON parser represents integers up to this exactly."""

_TIMESTAMP: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


class Visibility(StrEnum):
    """Who in a session may see a message; `proto.visibility` is the rule."""

    PUBLIC = "public"
    PRIVATE = "private"
    AGENT_ONLY = "agent_only"
    ADMIN_ONLY = "admin_only"


class Kind(StrEnum):
    """What an entry of the log is. All but a message are *about* a message."""

    MESSAGE = "message"
    DELETION = "deletion"
    EDIT = "edit"
    REACTION = "reaction"


class Message(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One durable entry of the log: a message, or what was done to one.

    An entry about a message has that message's session, principal, sender_type and visibility, so
    that those see it who see the message; its ``sender`` is who did it. It is never part of a page
    of messages.

    Attributes:
        id: position in the log (1, 2, 3 …).
        prev: id of the entry before it in the same session; 0 if there is none.
        session_id: of its session.
        principal: whose rights were used to write it.
        sender: the name that is shown.
        sender_type: the agent type of the sender.
        content: the text.
        visibility: who may see it.
        timestamp: UTC in ISO 8601, with microseconds and ``Z``.
        metadata: a JSON object as text, encoded once after validation.
        parent_message_id: the message that it answers.
        about: the id of the message that the entry is about; None: it is a message itself.
        deleted: whether the message was deleted: it keeps its id, without its texts.
        kind: what the entry is. An entry about a message with the kind of a message is a deletion,
            from a node of the version before.
        details: JSON; of a reaction ``{"reaction": "ack", "removed": false}``.
        edited_at: when the message got the text it has now, a timestamp; None: never edited. An
            edit has the message's new text and metadata; if there was a later edit, or a
            deletion, its ``content`` is empty.
        reactions: how many reactions the message has.
    """

    id: int
    prev: int
    session_id: str
    principal: str
    sender: str
    sender_type: str
    content: str
    visibility: Visibility
    timestamp: str
    metadata: msgspec.Raw
    parent_message_id: int | None
    # Named as it was while deletions were the only such entries: mcp_node and ws_node of two
    # versions understand each other.
    about: int | None = msgspec.field(default=None, name="deletes")
    deleted: bool = False
    kind: Kind = Kind.MESSAGE
    details: msgspec.Raw | None = None
    edited_at: str | None = None
    reactions: int = 0

    @property
    def author(self) -> str:
        """Who added the entry: the principal of a message, or who did something to it."""
        return self.principal if self.about is None else self.sender

    @property
    def hidden_characters(self) -> int:
        """Number of invisible characters in content and metadata (see `proto.hidden`)."""
        return hidden_characters(self.content) + hidden_in_json(bytes(self.metadata))

    def shown(self) -> dict[str, Any]:
        """The message as tools and REST return it to a reader who may see it.

        ``edited_at``, ``deleted`` and ``hidden_characters`` are present only if they apply. Of a
        deletion: its id, and the id of the message that it deletes. Of an edit: its id, the id of
        the message that it ``edits``, and its new text, metadata and ``edited_at``.
        """
        if self.kind is Kind.EDIT:
            return self._shown_edit()
        if self.about is not None:
            return {"id": self.id, "deletes": self.about}
        shown: dict[str, Any] = {
            "id": self.id,
            "sender": self.sender,
            "sender_type": self.sender_type,
            "content": self.content,
            "visibility": str(self.visibility),
            "timestamp": self.timestamp,
            "metadata": msgspec.json.decode(self.metadata),
            "parent_message_id": self.parent_message_id,
        }
        if self.edited_at is not None:
            shown["edited_at"] = self.edited_at
        if self.deleted:
            shown["deleted"] = True
        if hidden := self.hidden_characters:
            shown["hidden_characters"] = hidden
        return shown

    def _shown_edit(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": self.id, "edits": self.about}
        if self.content:
            shown["content"] = self.content
            shown["metadata"] = msgspec.json.decode(self.metadata)
            shown["edited_at"] = self.timestamp
        if hidden := self.hidden_characters:
            shown["hidden_characters"] = hidden
        return shown


class Session(msgspec.Struct, frozen=True):
    """A session.

    Attributes:
        session_id: its name.
        purpose: what it is for.
        metadata: a JSON object as text.
        created_by: who created it.
        created_at: a timestamp.
        closed_at: a timestamp; None while it is open.
        messages_per_minute: its own limit; None: the server's.
        agent_messages: its own limit; None: the server's.
    """

    session_id: str
    purpose: str
    metadata: msgspec.Raw
    created_by: str
    created_at: str
    closed_at: str | None = None
    messages_per_minute: int | None = None
    agent_messages: int | None = None

    def shown(self) -> dict[str, Any]:
        """The session as tools and REST return it.

        ``hidden_characters``, of its purpose and metadata, is present only if there are any.
        """
        shown: dict[str, Any] = {
            "session_id": self.session_id,
            "purpose": self.purpose,
            "metadata": msgspec.json.decode(self.metadata),
            "created_by": self.created_by,
            "created_at": self.created_at,
            "closed_at": self.closed_at,
        }
        if hidden := hidden_characters(self.purpose) + hidden_in_json(bytes(self.metadata)):
            shown["hidden_characters"] = hidden
        return shown


class Audience(msgspec.Struct, frozen=True):
    """What decides which messages a principal sees. Viewers with the same audience share frames."""

    agent_id: str
    agent_type: str
    is_admin: bool = False


ANONYMOUS: Final = "anonymous"
"""A caller without a name: it reads and writes public messages only."""

HUMAN: Final = "human"
"""Principal and agent type of the operator, who came by a login link; of nobody else."""

GUEST: Final = "guest"
"""Agent type of a person who came by a live link; the principal is ``guest:<link id>``."""


class Principal(msgspec.Struct, frozen=True):
    """Who a token speaks for.

    Attributes:
        agent_id: its name.
        agent_type: its type.
        scopes: its rights.
        sessions: the sessions that it may enter; None for all.
        expires_at: when its token expires, seconds of Unix time; None if it came without a token
            (``PARTYLINE_AUTH=off``).
        token_id: of its token; empty if it came without one.
        issued_at: when its token was issued, seconds of Unix time.
        toolsets: the sets of tools that it is shown over MCP; None for the node's default. They
            are no rights.
    """

    agent_id: str
    agent_type: str
    scopes: frozenset[str]
    sessions: frozenset[str] | None = None
    expires_at: int | None = None
    token_id: str = ""
    issued_at: int = 0
    toolsets: frozenset[Toolset] | None = None

    @property
    def is_admin(self) -> bool:
        """Whether it has the scope ``admin``."""
        return "admin" in self.scopes

    @property
    def verified_id(self) -> str | None:
        """Its ``agent_id`` if a token proves it; None with AUTH=off, where anybody can claim it."""
        return self.agent_id if self.token_id else None

    @property
    def is_guest(self) -> bool:
        """Whether it came by a live link."""
        return self.agent_type == GUEST

    @property
    def by_link(self) -> bool:
        """Whether it came by a link, a guest's or the operator's."""
        return self.agent_type in (GUEST, HUMAN)

    @property
    def audience(self) -> Audience:
        """Its audience, for `proto.visibility.may_see`."""
        return Audience(self.agent_id, self.agent_type, self.is_admin)

    def may_enter(self, session_id: str) -> bool:
        """Whether its token covers that session."""
        return self.sessions is None or session_id in self.sessions


def utc_now() -> str:
    """Now, UTC, as every Partyline timestamp: ``2026-11-23T21:30:00.123456Z`` (27 characters)."""
    return datetime.now(UTC).strftime(_TIMESTAMP)


def utc(moment: float) -> str:
    """Seconds of Unix time as a Partyline timestamp."""
    return datetime.fromtimestamp(moment, UTC).strftime(_TIMESTAMP)


def seconds(timestamp: str) -> float:
    """A Partyline timestamp as seconds of Unix time."""
    return datetime.strptime(timestamp, _TIMESTAMP).replace(tzinfo=UTC).timestamp()


def encode_metadata(metadata: Mapping[str, Any] | None) -> msgspec.Raw:
    """A validated metadata object as the JSON text that is stored and sent."""
    return msgspec.Raw(msgspec.json.encode(metadata or {}))
