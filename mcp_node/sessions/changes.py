"""Operations that close or change a session. Rights are checked in the same transaction."""

from collections.abc import Callable
from typing import Final

import msgspec

from mcp_node.log.transaction import Transaction
from mcp_node.sessions.rows import SESSION, session_from_row
from mcp_node.sessions.states import SessionStates
from proto.errors import Forbidden, SessionClosed, SessionNotFound
from proto.messages import Session, utc_now

_NEXT: Final = "(SELECT ifnull(max(changed), 0) + 1 FROM sessions WHERE changed > 0)"
CLOSE: Final = f"UPDATE sessions SET closed_at = ?, changed = {_NEXT} WHERE session_id = ?"
UPDATE: Final = (
    "UPDATE sessions SET purpose = ?, metadata = ?, messages_per_minute = ?, agent_messages = ?,"
    f" changed = {_NEXT} WHERE session_id = ?"
)

Allowed = Callable[[Session], bool]
"""Whether the caller may close or change a session."""


class CloseSession:
    """Close a session: after this commit no message is added to it.

    Args:
        session_id: the session.
        allowed: decides whether the caller may.
    """

    size = 512

    def __init__(self, session_id: str, allowed: Allowed) -> None:
        self._session_id = session_id
        self._allowed = allowed

    def apply(self, transaction: Transaction) -> Session:
        """Close the session and return it; one that was closed before stays as it is.

        Raises:
            SessionNotFound: there is no such session.
            Forbidden: the caller may not close it.
        """
        session = _found(transaction, self._session_id, self._allowed)
        if session.closed_at is not None:
            return session
        closed = msgspec.structs.replace(session, closed_at=utc_now())
        transaction.write(CLOSE, (closed.closed_at, closed.session_id))
        transaction.companion(SessionStates).drop(closed.session_id)
        return closed


class UpdateSession:
    """Change a session's purpose, metadata or limits.

    Args:
        session_id: the session.
        allowed: decides whether the caller may.
        changes: names of fields of `Session`, with their new values.
    """

    def __init__(self, session_id: str, allowed: Allowed, changes: dict[str, object]) -> None:
        self._session_id = session_id
        self._allowed = allowed
        self._changes = changes
        self.size = 512 + sum(len(v) for v in changes.values() if isinstance(v, (str, bytes)))

    def apply(self, transaction: Transaction) -> Session:
        """Apply the changes and return the changed session.

        Raises:
            SessionNotFound: there is no such session.
            Forbidden: the caller may not change it.
            SessionClosed: the session is closed.
        """
        session = _found(transaction, self._session_id, self._allowed)
        if session.closed_at is not None:
            raise SessionClosed
        changed = msgspec.structs.replace(session, **self._changes)
        texts = (changed.purpose, bytes(changed.metadata).decode())
        limits = (changed.messages_per_minute, changed.agent_messages)
        transaction.write(UPDATE, (*texts, *limits, changed.session_id))
        if limits != (session.messages_per_minute, session.agent_messages):
            # Only if the limits changed: dropping the state resets the guard's rates.
            transaction.companion(SessionStates).drop(changed.session_id)
        return changed


def _found(transaction: Transaction, session_id: str, allowed: Allowed) -> Session:
    row = transaction.read(SESSION, (session_id,)).fetchone()
    if row is None:
        raise SessionNotFound
    session = session_from_row(row)
    if not allowed(session):
        raise Forbidden(
            "Only who made a session, admins and people may close or change it.",
            "Ask one of them; get_session says who made it.",
        )
    return session
