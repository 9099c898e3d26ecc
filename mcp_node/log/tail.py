"""What the writer remembers of the log's end and of each session in it.

Authoritative because there is one writer: loaded from the database on demand, then kept, and
forgotten whenever anything is rolled back.
"""

import sqlite3
from typing import Final

from mcp_node.search.index import SearchIndex
from mcp_node.sessions.guard import Guard, Limits
from proto.messages import Message

CACHED_SESSIONS: Final = 10_000
"""Sessions the writer remembers; the one written to longest ago goes first."""

_LOAD: Final = (
    "SELECT (SELECT ifnull(max(id), 0) FROM messages WHERE session_id = ?1), closed_at IS NOT NULL,"
    " messages_per_minute, agent_messages FROM sessions WHERE session_id = ?1"
)


class SessionTail:
    """A session's last id (0 if it is empty), whether it was closed, and its guard."""

    __slots__ = ("closed", "guard", "last_id")

    def __init__(self, last_id: int, guard: Guard, *, closed: bool) -> None:
        self.last_id = last_id
        self.guard = guard
        self.closed = closed


class LogTail:
    """Where the log ends, and each session in it; ``index`` knows how far search has come.

    Args:
        limits: of sessions that have none of their own.
        secret: what digests of erased messages are keyed with.
    """

    def __init__(self, limits: Limits, secret: bytes) -> None:
        self.secret = secret
        self._limits = limits
        self._last: int | None = None
        self._sessions: dict[str, SessionTail] = {}
        self.index = SearchIndex()

    def last(self, connection: sqlite3.Connection) -> int:
        """The log's last id, 0 if it is empty."""
        if self._last is None:
            (self._last,) = connection.execute("SELECT ifnull(max(id), 0) FROM messages").fetchone()
        return self._last

    def known(self, session_id: str) -> SessionTail | None:
        """What is remembered of a session; None: nothing."""
        return self._sessions.get(session_id)

    def load(self, connection: sqlite3.Connection, session_id: str) -> SessionTail | None:
        """A session from the database, where all its messages must be; None if there is none."""
        row = connection.execute(_LOAD, (session_id,)).fetchone()
        if row is None:
            return None
        last_id, closed, *own = row
        loaded = SessionTail(last_id, Guard(self._limits.overridden(*own)), closed=bool(closed))
        self._remember(session_id, loaded)
        return loaded

    def advance(self, message: Message) -> None:
        """A message was added at the end."""
        self._last = message.id
        session = self._sessions.get(message.session_id)
        if session is not None:  # else it is loaded when somebody asks
            session.last_id = message.id
            session.guard.note(message)
            self._remember(message.session_id, session)

    def drop(self, session_id: str) -> None:
        """Load a session anew: its row was changed."""
        self._sessions.pop(session_id, None)

    def forget(self) -> None:
        """Load everything anew."""
        self._last = None
        self._sessions.clear()
        self.index.forget()

    def _remember(self, session_id: str, session: SessionTail) -> None:
        self._sessions.pop(session_id, None)
        if len(self._sessions) >= CACHED_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session_id] = session
