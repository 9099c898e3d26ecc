"""What participants say of themselves in a session: a status, and that they left."""

from typing import Final, NamedTuple

from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Transaction
from mcp_node.sessions.states import SessionStates
from proto.errors import SessionNotFound

_SET: Final = (
    "INSERT INTO statuses (session_id, principal, text, until) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (session_id, principal) DO UPDATE SET text = excluded.text,"
    " until = excluded.until"
)
_LEAVE: Final = (
    "INSERT INTO statuses (session_id, principal, text, until, left_at) VALUES (?, ?, '', '', ?)"
    " ON CONFLICT (session_id, principal) DO UPDATE SET text = '', until = '',"
    " left_at = excluded.left_at"
)
_OF_SESSION: Final = (
    "SELECT principal, text, until, left_at FROM statuses WHERE session_id = ?"
    " AND (until > ? OR left_at IS NOT NULL)"
)


class Status(NamedTuple):
    """What somebody said of itself.

    Attributes:
        text: its status; may be empty.
        until: when that ends, a timestamp or empty.
        left_at: when it left last, a timestamp, or None.
    """

    text: str
    until: str
    left_at: str | None


class SetStatus:
    """Set a principal's status in a session; an empty text clears it."""

    size = 1_024

    def __init__(self, session_id: str, principal: str, text: str, until: str) -> None:
        self._row = (session_id, principal, text, until)

    def apply(self, transaction: Transaction) -> None:
        """Write it.

        Raises:
            SessionNotFound: there is no such session.
        """
        check_session(transaction, self._row[0])
        transaction.write(_SET, self._row)


class Leave:
    """Note that a principal has left a session; its status is cleared."""

    size = 512

    def __init__(self, session_id: str, principal: str, at: str) -> None:
        self._row = (session_id, principal, at)

    def apply(self, transaction: Transaction) -> None:
        """Write it.

        Raises:
            SessionNotFound: there is no such session.
        """
        check_session(transaction, self._row[0])
        transaction.write(_LEAVE, self._row)


def statuses(connection: Connection, session_id: str, now: str) -> dict[str, Status]:
    """What each principal of a session says of itself; a status that has ended is empty."""
    rows = connection.execute(_OF_SESSION, (session_id, now)).fetchall()
    return {
        principal: Status(text, until, left_at) if until > now else Status("", "", left_at)
        for principal, text, until, left_at in rows
    }


def check_session(transaction: Transaction, session_id: str) -> None:
    """Refuse a session that does not exist.

    Raises:
        SessionNotFound: it does not.
    """
    if transaction.companion(SessionStates).of(transaction, session_id) is None:
        raise SessionNotFound
