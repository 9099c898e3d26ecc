"""The one tree of errors a caller may see, and the two that only operators see.

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
    │   ├── MemoryNotFound  MEMORY_NOT_FOUND    404   nothing of the caller's under that key
    │   └── LinkNotFound    LINK_NOT_FOUND      404   no such link
    ├── KeyReused           KEY_REUSED          409   an idempotency key with another message
    ├── MemoryExists        MEMORY_EXISTS       409   that key is taken, and must not be overwritten
    ├── SessionClosed       SESSION_CLOSED      409   the session is read-only from now on
    ├── RateLimited         RATE_LIMITED        429   too much in too short a time, or in all
    ├── LoopGuard           LOOP_GUARD          429   it looks like a loop: stop and ask a person
    ├── Overloaded          OVERLOADED          503   a bounded queue is full; retry
    └── Unavailable         UNAVAILABLE         503   a part is away; retry
    ConfigurationError      the node refuses to start; its text is for the operator
    WireError               a bridge message is not ours; it is counted and dropped

Every edge maps the first tree in exactly one place: tools (``mcp_node/doors/mcp/errors.py``), HTTP
(``serving/http/problems.py``) and the WebSocket (``ws_node/endpoints/websocket.py``). The texts
never contain what the caller sent, and never the inside of the program.
"""

from typing import ClassVar


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

    def __str__(self) -> str:
        """Code, what was wrong, what to do next: the form in which an agent reads it."""
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
    """The caller is known and lacks the right."""

    code = "FORBIDDEN"
    status = 403
    next_step = "Ask the operator for a token that has it."


class NotFound(PartylineError):
    """What may not be seen and what does not exist answer alike."""

    code = "NOT_FOUND"
    status = 404


class SessionNotFound(NotFound):
    """No such session, as far as this caller may know."""

    code = "SESSION_NOT_FOUND"
    next_step = "Call list_sessions to see the sessions, or create_session to make one."

    def __init__(self, message: str = "There is no such session.", hint: str = "") -> None:
        super().__init__(message, hint)


class MessageNotFound(NotFound):
    """No such message in this session, as far as this caller may know."""

    code = "MESSAGE_NOT_FOUND"
    next_step = "Call get_messages and use the id of a message of this session."

    def __init__(self, message: str = "There is no such message.", hint: str = "") -> None:
        super().__init__(message, hint)


class ParentNotFound(NotFound):
    """No such parent message in this session, as far as this caller may know."""

    code = "PARENT_NOT_FOUND"
    next_step = "Call get_messages and use the id of a message of this session."

    def __init__(
        self, message: str = "The parent message is not in this session.", hint: str = ""
    ) -> None:
        super().__init__(message, hint)


class MemoryNotFound(NotFound):
    """The caller remembers nothing under that key."""

    code = "MEMORY_NOT_FOUND"
    next_step = "Call list_memory to see your keys; what expired is gone."

    def __init__(self, message: str = "You have no memory under that key.", hint: str = "") -> None:
        super().__init__(message, hint)


class LinkNotFound(NotFound):
    """No link of that id."""

    code = "LINK_NOT_FOUND"
    next_step = "partyline links lists them."

    def __init__(self, message: str = "There is no such link.", hint: str = "") -> None:
        super().__init__(message, hint)


class KeyReused(PartylineError):
    """An idempotency key came again, with something else to write."""

    code = "KEY_REUSED"
    status = 409
    next_step = "Use a new idempotency_key for a new message; nothing was stored."

    def __init__(
        self, message: str = "This idempotency_key belongs to another message.", hint: str = ""
    ) -> None:
        super().__init__(message, hint)


class MemoryExists(PartylineError):
    """The caller already remembers something under that key, and asked not to overwrite it."""

    code = "MEMORY_EXISTS"
    status = 409
    next_step = "Call get_memory to see it; use another key, or overwrite=true. Nothing was stored."

    def __init__(self, message: str = "You have a memory under that key.", hint: str = "") -> None:
        super().__init__(message, hint)


class SessionClosed(PartylineError):
    """The session was closed: it is read, searched and waited on, but nothing is added."""

    code = "SESSION_CLOSED"
    status = 409
    next_step = "Read it, or open another session with create_session."

    def __init__(self, message: str = "This session is closed.", hint: str = "") -> None:
        super().__init__(message, hint)


class RateLimited(PartylineError):
    """One caller does too much, at once or in all; others are not affected."""

    code = "RATE_LIMITED"
    status = 429
    next_step = "Wait a second, and put more into one message."


class LoopGuard(PartylineError):
    """Agents talk on and on in one session, and no person has a word in it."""

    code = "LOOP_GUARD"
    status = 429
    next_step = "Stop writing to this session, and ask a person how to go on."


class Overloaded(PartylineError):
    """A bounded queue is full; nothing was stored or sent."""

    code = "OVERLOADED"
    status = 503
    next_step = "Nothing was stored; try again in a moment."


class Unavailable(PartylineError):
    """A part that is needed for the answer is away."""

    code = "UNAVAILABLE"
    status = 503
    next_step = "Try again in a moment."


class ConfigurationError(Exception):
    """The node refuses to start; the text tells the operator what to change."""


class WireError(ValueError):
    """A bridge message that is not ours: truncated, foreign, oversized or of another version.

    Args:
        reason: a word from a fixed set, fit to be a metric's label.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
