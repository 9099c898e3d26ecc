"""The writer's cache of the last ids: of the log, and of each session.

A message gets the log's last id + 1 as its id and the session's last id as its ``prev``. Ids are
loaded on demand, and all are discarded after any rollback. What other nodes append is added.
"""

from typing import Final

from mcp_node.log.messages import COLUMNS, HEAD, SESSION_HEAD, message_from_row
from mcp_node.log.sql import Connection
from proto.messages import Message

CACHED_SESSIONS: Final = 10_000
"""Limit on cached sessions. Beyond it, the session written to longest ago is evicted."""

CAUGHT_UP_MESSAGES: Final = 1_000
"""The most messages of other nodes that are looked at, instead of discarding the cache."""

_SHORT: Final = COLUMNS.replace("content", "''").replace("metadata", "'{}'")
_APPENDED: Final = (
    f"SELECT {_SHORT} FROM messages WHERE id > ? ORDER BY id LIMIT {CAUGHT_UP_MESSAGES + 1}"
)


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

    def catch_up(self, connection: Connection) -> list[Message] | None:
        """Record the messages that other nodes have appended since.

        Returns:
            The messages, without content and metadata; None if there are more than
            `CAUGHT_UP_MESSAGES`, or nothing is cached: then everything is discarded.
        """
        added = None
        if self._last is not None:
            rows = connection.execute(_APPENDED, (self._last,)).fetchall()
            if len(rows) <= CAUGHT_UP_MESSAGES:
                added = [message_from_row(row) for row in rows]
        if added is None:
            self.forget()
        else:
            for message in added:
                self.advance(message)
        return added

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
