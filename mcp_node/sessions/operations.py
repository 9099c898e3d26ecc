"""Operations of the writer that add a message and create a session."""

from mcp_node.log.messages import message_from_row
from mcp_node.log.transaction import Transaction
from mcp_node.sessions.appending import admit, append, check_parent, pending_bytes
from mcp_node.sessions.digests import Digests
from mcp_node.sessions.moved_on import check_not_moved_on
from mcp_node.sessions.new import NewMessage, NewSession
from mcp_node.sessions.rows import (
    INSERT_KEY,
    INSERT_SESSION,
    MADE_BY,
    REPEATED,
    SESSION,
    session_from_row,
    session_row,
)
from mcp_node.sessions.states import SessionStates
from proto.errors import KeyReused, RateLimited, SessionClosed, SessionNotFound
from proto.messages import Message, Session, utc_now


class AppendMessage:
    """Append a message to the log."""

    def __init__(self, message: NewMessage) -> None:
        self._new = message
        self.size = pending_bytes(message.content, message.metadata)

    def apply(self, transaction: Transaction) -> Message:
        """Append the message and return it with its id.

        Raises:
            SessionNotFound: there is no such session.
            SessionClosed: the session is closed.
            ParentNotFound: the parent is not in that session, or the author may not see it.
            InvalidInput: some who may see the message may not see its parent.
            KeyReused: the idempotency key belongs to a different message.
            MovedOn: others have added messages after ``if_last_seen``.
            LoopGuard: a limit of the session is reached.
        """
        new = self._new
        session = transaction.companion(SessionStates).of(transaction, new.session_id)
        if session is None:
            raise SessionNotFound
        if new.idempotency_key is not None:
            earlier = self._earlier(transaction, new.idempotency_key)
            if earlier is not None:
                return earlier
        if session.closed:
            raise SessionClosed
        if new.if_last_seen is not None:
            check_not_moved_on(transaction, new.session_id, new.author, new.if_last_seen)
        check_parent(transaction, new)
        admit(transaction, session.guard, new)
        message = append(transaction, new)
        if new.idempotency_key is not None:
            key = (new.session_id, new.author.agent_id, new.idempotency_key, message.id)
            transaction.write(INSERT_KEY, key)
        return message

    def _earlier(self, transaction: Transaction, key: str) -> Message | None:
        """The message that was added under that key before."""
        new = self._new
        row = transaction.read_of(
            new.session_id, REPEATED, (new.session_id, new.author.agent_id, key)
        ).fetchone()
        if row is None:
            return None
        if row[-1] is not None:  # it belongs to messages that were added together
            raise KeyReused
        message = message_from_row(row)
        if message.deleted or message.edited_at is not None:
            if not transaction.companion(Digests).said_the_same(transaction, message, new):
                raise KeyReused
            return message
        said = (message.content, message.visibility, message.parent_message_id, message.sender)
        if said != (new.content, new.visibility, new.parent_message_id, new.sender) or bytes(
            message.metadata
        ) != bytes(new.metadata):
            raise KeyReused
        return message


class CreateSession:
    """Create a session, or return the existing one of that id.

    Args:
        session: the session to create.
        most: the most sessions its creator may have created; None for no limit.
    """

    def __init__(self, session: NewSession, most: int | None) -> None:
        self._new = session
        self._most = most
        self.size = pending_bytes(session.purpose, session.metadata)

    def apply(self, transaction: Transaction) -> tuple[Session, bool]:
        """The session, and whether it was created now.

        Raises:
            RateLimited: its creator has reached the limit.
        """
        new = self._new
        row = transaction.read(SESSION, (new.session_id,)).fetchone()
        if row is not None:
            return session_from_row(row), False
        if self._most is not None:
            (made_before,) = transaction.read(MADE_BY, (new.created_by, self._most)).fetchone()
            if made_before >= self._most:
                raise RateLimited(
                    "You have made as many sessions as one principal may.",
                    "Use one that exists (list_sessions shows them), or ask the operator to raise"
                    " PARTYLINE_MAX_SESSIONS_PER_PRINCIPAL.",
                )
        made = Session(new.session_id, new.purpose, new.metadata, new.created_by, utc_now())
        transaction.write(INSERT_SESSION, session_row(made))
        return made, True
