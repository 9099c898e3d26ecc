"""The operation of the writer that adds several messages together, all or none."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from mcp_node.log.messages import message_from_row
from mcp_node.log.transaction import Transaction
from mcp_node.sessions.appending import admit, append, check_parent, pending_bytes
from mcp_node.sessions.digests import Digests
from mcp_node.sessions.new import NewMessage
from mcp_node.sessions.rows import ADDED_TOGETHER, INSERT_KEY_TOGETHER, REPEATED_TOGETHER
from mcp_node.sessions.states import SessionStates
from proto.errors import KeyReused, PartylineError, SessionClosed, SessionNotFound
from proto.messages import Message


class Added(NamedTuple):
    """Messages that were added together.

    Attributes:
        ids: their ids, which follow one another.
        messages: they; on a retry, those that were not pruned since.
    """

    ids: range
    messages: list[Message]


def shown_together(added: Added, unknown_mentions: Sequence[str]) -> dict[str, Any]:
    """The answer to adding several messages, as tools and REST give it."""
    shown: dict[str, Any] = {"message_ids": list(added.ids)}
    if unknown_mentions:
        shown["unknown_mentions"] = unknown_mentions
    if deleted := [message.id for message in added.messages if message.deleted]:
        shown["deleted"] = deleted
    return shown


@contextmanager
def within(number: int) -> Iterator[None]:
    """Say in an error which of several messages is wrong; they count from 0, as in JSON."""
    try:
        yield
    except PartylineError as error:
        error.message = f"messages[{number}]: {error.message}"
        raise


class AppendMessages:
    """Append messages of one author to a session, one after another, all or none.

    Everything is checked before the first is appended, so a refusal needs no rollback.

    Args:
        messages: at least one; their own keys are not used.
        key: the idempotency key of them all, or None.
    """

    def __init__(self, messages: Sequence[NewMessage], key: str | None) -> None:
        self._new = messages
        self._key = key
        self.size = sum(pending_bytes(each.content, each.metadata) for each in messages)

    def apply(self, transaction: Transaction) -> Added:
        """Append the messages and return them with their ids.

        Raises:
            SessionNotFound: there is no such session.
            SessionClosed: the session is closed.
            ParentNotFound: a parent is not in that session yet, or the author may not see it.
            InvalidInput: some who may see a message may not see its parent.
            KeyReused: the key belongs to something else.
            LoopGuard: with these messages, a limit of the session would be exceeded.
        """
        first = self._new[0]
        session = transaction.companion(SessionStates).of(transaction, first.session_id)
        if session is None:
            raise SessionNotFound
        if self._key is not None:
            earlier = self._earlier(transaction, self._key)
            if earlier is not None:
                return earlier
        if session.closed:
            raise SessionClosed
        for number, new in enumerate(self._new):
            with within(number):
                check_parent(transaction, new)
        admit(transaction, session.guard, first, len(self._new))
        added = [append(transaction, new) for new in self._new]
        if self._key is not None:
            digest = transaction.companion(Digests).of_all(self._new)
            place = (first.session_id, first.author.agent_id, self._key)
            transaction.write(INSERT_KEY_TOGETHER, (*place, added[0].id, digest, len(added)))
        return Added(range(added[0].id, added[-1].id + 1), added)

    def _earlier(self, transaction: Transaction, key: str) -> Added | None:
        """The messages that were added under that key before."""
        first = self._new[0]
        place = (first.session_id, first.author.agent_id, key)
        row = transaction.read_of(first.session_id, REPEATED_TOGETHER, place).fetchone()
        if row is None:
            return None
        start, together, digest = row
        if together is None or not transaction.companion(Digests).is_of_all(digest, self._new):
            raise KeyReused
        ids = range(start, start + together)
        where = (first.session_id, ids.start, ids.stop)
        rows = transaction.read_of(first.session_id, ADDED_TOGETHER, where)
        return Added(ids, [message_from_row(each) for each in rows])
