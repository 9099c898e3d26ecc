"""The writer's cache of the last ids: of the log, and of each session.

A message gets the log's last id + 1 as its id and the session's last id as its ``prev``. Ids are
loaded on demand, and all are discarded after any rollback, and when another node has committed.
"""

from typing import Final

from mcp_node.log.messages import HEAD, SESSION_HEAD
from mcp_node.log.sql import Connection
from proto.messages import Message

CACHED_SESSIONS: Final = 10_000
"""Limit on cached sessions. Beyond it, the session written to longest ago is evicted."""


class LogTail:
    """The log's last id, and the last ids of the sessions written to most recently."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._sessions: dict[str, int] = {}

    def last(self, connection: Connection) -> int:
        """The log's last id, 0 if it is empty."""
        if self._last is None:
            (self._last,) = connection.execute(HEAD).fetchone()
        return self._last

    def cached(self, session_id: str) -> int | None:
        """A session's last id, None if it is not cached."""
        return self._sessions.get(session_id)

    def load(self, connection: Connection, session_id: str) -> int:
        """Read a session's last id from the database. All its messages must be inserted."""
        (last_id,) = connection.execute(SESSION_HEAD, (session_id,)).fetchone()
        self._store(session_id, last_id)
        return int(last_id)

    def advance(self, message: Message) -> None:
        """Record a message that was appended to the log."""
        self._last = message.id
        self._store(message.session_id, message.id)

    def forget(self) -> None:
        """Discard everything."""
        self._last = None
        self._sessions.clear()

    def _store(self, session_id: str, last_id: int) -> None:
        # Removing it first moves the session to the end of the dict, which is the eviction order.
        self._sessions.pop(session_id, None)
        if len(self._sessions) >= CACHED_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session_id] = last_id
