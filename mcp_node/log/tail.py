"""The writer's cache of where the log ends, and each session in it.

Authoritative because there is one writer: loaded from the database on demand, then kept, and
forgotten whenever anything is rolled back.
"""

from typing import Final

from mcp_node.log.messages import HEAD, SESSION_HEAD
from mcp_node.log.sql import Connection
from proto.messages import Message

CACHED_SESSIONS: Final = 10_000
"""Sessions the writer remembers; the one written to longest ago goes first."""


class LogTail:
    """The log's last id, and the last id of each session written to lately."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._sessions: dict[str, int] = {}

    def last(self, connection: Connection) -> int:
        """The log's last id, 0 if it is empty."""
        if self._last is None:
            (self._last,) = connection.execute(HEAD).fetchone()
        return self._last

    def known(self, session_id: str) -> int | None:
        """A session's last id if it is cached."""
        return self._sessions.get(session_id)

    def load(self, connection: Connection, session_id: str) -> int:
        """A session's last id from the database, where all its messages must be."""
        (last_id,) = connection.execute(SESSION_HEAD, (session_id,)).fetchone()
        self._remember(session_id, last_id)
        return int(last_id)

    def advance(self, message: Message) -> None:
        """A message was added at the end."""
        self._last = message.id
        self._remember(message.session_id, message.id)

    def forget(self) -> None:
        """Load everything anew."""
        self._last = None
        self._sessions.clear()

    def _remember(self, session_id: str, last_id: int) -> None:
        self._sessions.pop(session_id, None)
        if len(self._sessions) >= CACHED_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session_id] = last_id
