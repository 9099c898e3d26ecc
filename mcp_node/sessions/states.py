"""The writer's cache for each session: whether it is closed, and its guard against loops."""

from collections.abc import Sequence
from typing import Final

from mcp_node.log.sql import Connection
from mcp_node.log.tail import CACHED_SESSIONS
from mcp_node.log.transaction import Companion, Transaction
from mcp_node.sessions.guard import Guard, Limits
from mcp_node.sessions.watching import last_change
from proto.messages import Message

_LOAD: Final = (
    "SELECT closed_at IS NOT NULL, messages_per_minute, agent_messages"
    " FROM sessions WHERE session_id = ?"
)


class SessionState:
    """Whether a session is closed, and its guard.

    ``stale``: another node may have changed the session or added messages to it.
    """

    __slots__ = ("closed", "guard", "stale")

    def __init__(self, guard: Guard, *, closed: bool) -> None:
        self.guard = guard
        self.closed = closed
        self.stale = False


class SessionStates(Companion):
    """The states of the sessions that were written to last, at most `CACHED_SESSIONS`.

    Args:
        limits: for sessions without limits of their own.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._states: dict[str, SessionState] = {}
        self._changed = -1  # the last change of a session that is known

    def of(self, transaction: Transaction, session_id: str) -> SessionState | None:
        """The state of a session; None if there is no such session."""
        state = self._states.pop(session_id, None)
        if state is None or state.stale:
            row = transaction.read_of(session_id, _LOAD, (session_id,)).fetchone()
            if row is None:
                return None
            closed, *own = row
            limits = self._limits.overridden(*own)
            # The rates of principals are this node's own, and outlive what other nodes commit.
            kept = state is not None and state.guard.recount(limits)
            guard = state.guard if state is not None and kept else Guard(limits)
            state = SessionState(guard, closed=bool(closed))
            if len(self._states) >= CACHED_SESSIONS:
                del self._states[next(iter(self._states))]
        self._states[session_id] = state  # last written to, last to go
        return state

    def drop(self, session_id: str) -> None:
        """Forget the state of a session whose row was changed; it is loaded again on demand."""
        self._states.pop(session_id, None)

    def added(self, message: Message) -> None:
        """Let the session's guard count a message."""
        state = self._states.get(message.session_id)
        if state is not None:  # else the guard counts it when it is loaded
            state.guard.note(message)

    def forget(self) -> None:
        """Forget every state, after a rollback."""
        self._states.clear()

    def others_committed(self, connection: Connection, added: Sequence[Message] | None) -> None:
        """Count what others added; if a session was changed, load every state again on demand."""
        changed = last_change(connection)
        if added is None or changed != self._changed:
            self._changed = changed
            for state in self._states.values():
                state.stale = True
            return
        for message in added:
            self.added(message)
