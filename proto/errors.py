"""The tree of errors that callers may see, and two errors for operators.

::

    PartylineError
    ├── InvalidInput        INVALID_INPUT       422   something in the request is wrong
    │   ├── TooLarge        TOO_LARGE           413   more bytes than a limit allows
    │   └── WrongMediaType  WRONG_MEDIA_TYPE    415   the body is not application/json
    ├── Unauthenticated     UNAUTHENTICATED     401   no token, or not a valid one
    ├── Forbidden           FORBIDDEN           403   a valid token without that right
    ├── NotFound
    │   ├── SessionNotFound SESSION_NOT_FOUND   404   no such session (that the caller may enter)
    │   ├── MessageNotFound MESSAGE_NOT_FOUND   404   no such message (that the caller may see)
    │   ├── ParentNotFound  PARENT_NOT_FOUND    404   no such parent (that the caller may see)
    │   ├── MemoryNotFound  MEMORY_NOT_FOUND    404   the caller has no value under that key
    │   ├── NoteNotFound    NOTE_NOT_FOUND      404   the session has no note under that key
    │   └── LinkNotFound    LINK_NOT_FOUND      404   no such link
    ├── KeyReused           KEY_REUSED          409   the idempotency key belongs to another message
    ├── MemoryExists        MEMORY_EXISTS       409   the key has a value, and overwrite is false
    ├── MovedOn             MOVED_ON            409   others have spoken since the message named
    ├── Claimed             CLAIMED             409   somebody else has claimed what overlaps it
    ├── VersionConflict     VERSION_CONFLICT    409   the note has another version than expected
    ├── SessionClosed       SESSION_CLOSED      409   the session is read-only
    ├── RateLimited         RATE_LIMITED        429   a limit of the caller is reached
    ├── LoopGuard           LOOP_GUARD          429   agents seem to loop: stop and ask a person
    ├── Overloaded          OVERLOADED          503   a bounded queue is full; retry
    └── Unavailable         UNAVAILABLE         503   a part of the server does not respond; retry
    ConfigurationError      the node refuses to start; its text is for the operator
    WireError               a malformed bridge message; it is counted and dropped

Each door maps `PartylineError` in one place: tools (``mcp_node/doors/mcp/errors.py``), HTTP
(``serving/http/problems.py``) and the WebSocket (``ws_node/endpoints/websocket.py``). The texts
never contain what the caller sent, nor internals of the program.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from proto.messages import Message


class PartylineError(Exception):
    """An error with a stable code, what was wrong, and what to do next.

    Args:
        message: what was wrong, one sentence, without the caller's input.
        hint: what to do next, one sentence; the class's own when empty.
    """

    code: ClassVar[str] = "ERROR"
    status: ClassVar[int] = 500
    next_step: ClassVar[str] = ""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.next_step

    @property
    def details(self) -> dict[str, Any]:
        """Further fields that a caller gets; most errors have none."""
        return {}

    def __str__(self) -> str:
        """Code, what was wrong, and what to do next: the form that agents get."""
        return f"{self.code}: {self.message}" + (f" {self.hint}" if self.hint else "")


class InvalidInput(PartylineError):
    """Something in the request breaks a documented rule."""

    code = "INVALID_INPUT"
    status = 422
    next_step = "Correct it and call again."


class TooLarge(InvalidInput):
    """More bytes or characters than a limit allows."""

    code = "TOO_LARGE"
    status = 413
    next_step = "Send less, or split it over several messages."


class WrongMediaType(InvalidInput):
    """The body's content type is not application/json."""

    code = "WRONG_MEDIA_TYPE"
    status = 415
    next_step = "Send the header Content-Type: application/json."


class Unauthenticated(PartylineError):
    """No token, or one that does not verify."""

    code = "UNAUTHENTICATED"
    status = 401
    next_step = "Get a token with 'partyline token' and send it as a bearer token."


class Forbidden(PartylineError):
    """The caller is authenticated, but lacks the right."""

    code = "FORBIDDEN"
    status = 403
    next_step = "Ask the operator for a token that has it."


class NotFound(PartylineError):
    """It does not exist, or the caller may not see it: the answer is the same."""

    code = "NOT_FOUND"
    status = 404


class SessionNotFound(NotFound):
    """The session does not exist, or the caller may not enter it."""

    code = "SESSION_NOT_FOUND"
    next_step = "Call list_sessions to see the sessions, or create_session to make one."

    def __init__(self, message: str = "There is no such session.", hint: str = "") -> None:
        super().__init__(message, hint)


class MessageNotFound(NotFound):
    """The message is not in this session, or the caller may not see it."""

    code = "MESSAGE_NOT_FOUND"
    next_step = "Call get_messages and use the id of a message of this session."

    def __init__(self, message: str = "There is no such message.", hint: str = "") -> None:
        super().__init__(message, hint)


class ParentNotFound(NotFound):
    """The parent message is not in this session, or the caller may not see it."""

    code = "PARENT_NOT_FOUND"
    next_step = "Call get_messages and use the id of a message of this session."

    def __init__(
        self, message: str = "The parent message is not in this session.", hint: str = ""
    ) -> None:
        super().__init__(message, hint)


class MemoryNotFound(NotFound):
    """The caller has no value under that key."""

    code = "MEMORY_NOT_FOUND"
    next_step = "Call list_memory to see your keys; expired ones are gone."

    def __init__(self, message: str = "You have no memory under that key.", hint: str = "") -> None:
        super().__init__(message, hint)


class LinkNotFound(NotFound):
    """There is no link with that id."""

    code = "LINK_NOT_FOUND"
    next_step = "partyline links lists them."

    def __init__(self, message: str = "There is no such link.", hint: str = "") -> None:
        super().__init__(message, hint)


class NoteNotFound(NotFound):
    """The session has no note under that key."""

    code = "NOTE_NOT_FOUND"
    next_step = "Call get_notes to see the notes of this session."

    def __init__(self, message: str = "There is no such note.", hint: str = "") -> None:
        super().__init__(message, hint)


class KeyReused(PartylineError):
    """An idempotency key was reused for a different message."""

    code = "KEY_REUSED"
    status = 409
    next_step = "Use a new idempotency_key for a new message; nothing was stored."

    def __init__(
        self, message: str = "This idempotency_key belongs to another message.", hint: str = ""
    ) -> None:
        super().__init__(message, hint)


class MemoryExists(PartylineError):
    """The key has a value, and the caller asked not to overwrite it."""

    code = "MEMORY_EXISTS"
    status = 409
    next_step = "Call get_memory to see it; use another key, or overwrite=true. Nothing was stored."

    def __init__(self, message: str = "You have a memory under that key.", hint: str = "") -> None:
        super().__init__(message, hint)


class MovedOn(PartylineError):
    """Others have spoken since the message that the caller named as the last it has seen.

    Args:
        message: as in `PartylineError`.
        hint: as in `PartylineError`.
        messages: what they said, oldest first; the caller may see it.
        has_more: whether more follows.
    """

    code = "MOVED_ON"
    status = 409
    next_step = (
        "Nothing was stored. Read these messages; if yours still holds, call again with a higher"
        " if_last_seen."
    )

    def __init__(
        self,
        message: str = "Others have spoken since the message you saw last.",
        hint: str = "",
        messages: Sequence[Message] = (),
        *,
        has_more: bool = False,
    ) -> None:
        super().__init__(message, hint)
        self.messages = messages
        self.has_more = has_more

    @property
    def details(self) -> dict[str, Any]:
        """The messages, as get_messages shows them."""
        shown = [message.shown() for message in self.messages]
        return {"messages": shown, "has_more": self.has_more}


class Claimed(PartylineError):
    """Somebody else has claimed names that overlap those that the caller wants to claim.

    Args:
        message: as in `PartylineError`.
        hint: as in `PartylineError`.
        claims: these claims, as get_session shows them.
    """

    code = "CLAIMED"
    status = 409
    next_step = (
        "Nothing was claimed. Do something else, ask who has it, or call again after it ends."
    )

    def __init__(
        self,
        message: str = "Somebody else has claimed some of this.",
        hint: str = "",
        claims: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(message, hint)
        self.claims = claims

    @property
    def details(self) -> dict[str, Any]:
        """Who has what until when."""
        return {"claims": list(self.claims)}


class VersionConflict(PartylineError):
    """The note has another version than the caller expected.

    Args:
        message: as in `PartylineError`.
        hint: as in `PartylineError`.
        note: the note as it is now, as get_notes shows it; version 0: there is none.
    """

    code = "VERSION_CONFLICT"
    status = 409
    next_step = "Nothing was stored. Merge your text with this one, and call with its version."

    def __init__(
        self,
        message: str = "The note was changed since the version you know.",
        hint: str = "",
        note: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.note = note or {}

    @property
    def details(self) -> dict[str, Any]:
        """The note as it is now."""
        return self.note


class SessionClosed(PartylineError):
    """The session is closed: it can be read, searched and waited on, but not written to."""

    code = "SESSION_CLOSED"
    status = 409
    next_step = "Read it, or open another session with create_session."

    def __init__(self, message: str = "This session is closed.", hint: str = "") -> None:
        super().__init__(message, hint)


class RateLimited(PartylineError):
    """The caller reached a limit on its rate, concurrency or total; others are not affected."""

    code = "RATE_LIMITED"
    status = 429
    next_step = "Wait a second, and put more into one message."


class LoopGuard(PartylineError):
    """Agents wrote too many messages to a session, too fast or without a person's word."""

    code = "LOOP_GUARD"
    status = 429
    next_step = "Stop writing to this session, and ask a person how to go on."


class Overloaded(PartylineError):
    """A bounded queue is full; nothing was stored or sent."""

    code = "OVERLOADED"
    status = 503
    next_step = "Nothing was stored; try again in a moment."


class Unavailable(PartylineError):
    """A part of the server that is needed for the answer does not respond."""

    code = "UNAVAILABLE"
    status = 503
    next_step = "Try again in a moment."


class ConfigurationError(Exception):
    """The node refuses to start; the text tells the operator what to change."""


class WireError(ValueError):
    """A malformed bridge message: truncated, foreign, oversized or of another version.

    Args:
        reason: a word from a fixed set, usable as a metric's label.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
