"""Tells a node which sessions other nodes have closed or changed."""

from collections.abc import Callable
from typing import Final

from mcp_node.log.sql import Connection
from mcp_node.sessions.rows import SESSION_COLUMNS, session_from_row
from proto.messages import Session

AT_ONCE: Final = 500

_LAST: Final = "SELECT ifnull(max(changed), 0) FROM sessions WHERE changed > 0"
_CHANGED: Final = (
    f"SELECT {SESSION_COLUMNS}, changed FROM sessions WHERE changed > 0 AND changed > ?"
    f" ORDER BY changed LIMIT {AT_ONCE}"
)

Found = tuple[int, list[Session]]
"""The number of the last change that was read, and the changed sessions."""


def last_change(connection: Connection) -> int:
    """The number of the last change of any session."""
    return int(connection.execute(_LAST).fetchone()[0])


class SessionWatch:
    """`mcp_node.log.interface.Watch` of sessions. It begins with its first `read`.

    Args:
        changed: called once with each session that was closed or changed, on whichever node.
    """

    def __init__(self, changed: Callable[[Session], None]) -> None:
        self._through: int | None = None
        self._changed = changed
        self._here: dict[str, Session] = {}

    def begin(self, last: int) -> None:
        """Begin after a change (`last_change`)."""
        self._through = last

    def changed_here(self, session: Session) -> None:
        """Pass on a session that this node has closed or changed."""
        self._here[session.session_id] = session
        self._changed(session)

    def read(self, connection: Connection) -> Found:
        """The sessions that changed since the last call, at most `AT_ONCE`."""
        if self._through is None:
            return last_change(connection), []
        rows = connection.execute(_CHANGED, (self._through,)).fetchall()
        return rows[-1][-1] if rows else self._through, [session_from_row(row) for row in rows]

    def apply(self, found: Found) -> None:
        """Pass on those that other nodes changed."""
        self._through, sessions = found
        for session in sessions:
            if self._here.pop(session.session_id, None) != session:
                self._changed(session)
