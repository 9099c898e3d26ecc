"""The nouns: Message, Session, Principal, and the time they share."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from proto.hidden import hidden_characters, hidden_in_json

MAX_ID: Final = 2**53
"""Ids and positions are below this, so that every JSON reader holds them exactly."""


_TIMESTAMP: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


class Visibility(StrEnum):
    """Who in a session may see a message; `proto.visibility` is the rule."""

    PUBLIC = "public"
    PRIVATE = "private"
    AGENT_ONLY = "agent_only"
    ADMIN_ONLY = "admin_only"


class Message(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One durable entry of the log.

    ``id`` is its place in the log (1, 2, 3 …); ``prev`` the id of the message before it in the
    same session (0 if none). ``principal`` is whose rights wrote it, ``sender`` the name shown.
    ``metadata`` is a JSON object as text, encoded once when it was validated. ``timestamp`` is
    UTC in ISO 8601 with microseconds and ``Z``.

    With ``deletes`` it is not something said but the entry that deletes that earlier message of
    the session: for the same eyes, never shown in a page, without texts; ``sender`` deleted it.
    What is ``deleted`` keeps its place, without its texts.
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
    deletes: int | None = None
    deleted: bool = False

    @property
    def hidden_characters(self) -> int:
        """How many characters of its content and metadata nobody sees (see `proto.hidden`)."""
        return hidden_characters(self.content) + hidden_in_json(bytes(self.metadata))

    def shown(self) -> dict[str, Any]:
        """The message as tools and REST give it to a reader who may see it.

        ``deleted`` and ``hidden_characters`` are there only if it has any. Of an entry that
        deletes: its place, and which message it deletes.
        """
        if self.deletes is not None:
            return {"id": self.id, "deletes": self.deletes}
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
        if self.deleted:
            shown["deleted"] = True
        if hidden := self.hidden_characters:
            shown["hidden_characters"] = hidden
        return shown


class Session(msgspec.Struct, frozen=True):
    """A room: its id, what it is for, who made it when, and when it was closed (None: it is open).

    ``messages_per_minute`` and ``agent_messages`` are limits of its own; None: the server's.
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
        """The session as tools and REST give it.

        ``hidden_characters``, of its purpose and metadata, is there only if they have any.
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
    """What decides what a principal may see: the key under which viewers share frames."""

    agent_id: str
    agent_type: str
    is_admin: bool = False


ANONYMOUS: Final = "anonymous"
"""Nobody in particular: sees public messages only, and writes only those."""

HUMAN: Final = "human"
"""Principal and agent type of who came by the operator's login link, and of nobody else."""

GUEST: Final = "guest"
"""Agent type of who came by a live link; the principal is ``guest:<link id>``."""


class Principal(msgspec.Struct, frozen=True):
    """Who a token speaks for.

    ``sessions`` are the sessions it may enter, ``None`` for all. ``expires_at`` is in seconds of
    Unix time, ``None`` only where no token was needed (AUTH=off); then ``token_id`` is empty.
    """

    agent_id: str
    agent_type: str
    scopes: frozenset[str]
    sessions: frozenset[str] | None = None
    expires_at: int | None = None
    token_id: str = ""
    issued_at: int = 0

    @property
    def is_admin(self) -> bool:
        """Whether it holds the scope ``admin``."""
        return "admin" in self.scopes

    @property
    def verified_id(self) -> str | None:
        """Its ``agent_id`` if a token proves it; None where AUTH=off and anybody may claim it."""
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
        """What `proto.visibility.may_see` asks for."""
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


def encode_metadata(metadata: Mapping[str, Any] | None) -> msgspec.Raw:
    """A checked metadata object as the JSON text that is stored and sent from then on."""
    return msgspec.Raw(msgspec.json.encode(metadata or {}))
