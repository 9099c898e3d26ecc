"""The writer's cache of each session's row: whether it is closed, and its guard against loops."""

from typing import Final

from mcp_node.log.tail import CACHED_SESSIONS
from mcp_node.log.transaction import Companion, Transaction
from mcp_node.sessions.guard import Guard, Limits
from proto.messages import Message

_LOAD: Final = (
    "SELECT closed_at IS NOT NULL, messages_per_minute, agent_messages"
    " FROM sessions WHERE session_id = ?"
)


class SessionState:
    """Whether a session is closed, and its guard."""

    __slots__ = ("closed", "guard")

    def __init__(self, guard: Guard, *, closed: bool) -> None:
        self.guard = guard
        self.closed = closed


class SessionStates(Companion):
    """The states of the sessions that were written to lately.

    Args:
        limits: of sessions that have none of their own.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._states: dict[str, SessionState] = {}

    def of(self, transaction: Transaction, session_id: str) -> SessionState | None:
        """The state of a session; None if there is no such session."""
        state = self._states.pop(session_id, None)
        if state is None:
            row = transaction.read(_LOAD, (session_id,)).fetchone()
            if row is None:
                return None
            closed, *own = row
            state = SessionState(Guard(self._limits.overridden(*own)), closed=bool(closed))
            if len(self._states) >= CACHED_SESSIONS:
                del self._states[next(iter(self._states))]
        self._states[session_id] = state  # last written to, last to go
        return state

    def drop(self, session_id: str) -> None:
        """A session's row was changed: load its state anew."""
        self._states.pop(session_id, None)

    def added(self, message: Message) -> None:
        """The guard counts what is said."""
        state = self._states.get(message.session_id)
        if state is not None:  # else it is loaded when somebody asks
            state.guard.note(message)

    def forget(self) -> None:
        """Load everything anew."""
        self._states.clear()
