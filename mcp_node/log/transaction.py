"""Many operations in one transaction, of which a bad one fails alone.

The first attempt runs all operations straight through, their rows inserted together at the end.
Should the database refuse anything, it is rolled back and every operation runs again under its
own savepoint: then only the culprit fails. Both happen in the writer's thread.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeVar

from mcp_node.log.tail import LogTail, SessionTail
from mcp_node.sessions.rows import INSERT_MESSAGE, message_row
from mcp_node.sessions.tallies import Tallies
from proto.errors import PartylineError
from proto.messages import Message

T_co = TypeVar("T_co", covariant=True)

Parameters = Sequence[object] | Mapping[str, object]


class Transaction:
    """What an operation writes through.

    Messages go in with `add`, so that the writer can announce them; everything else with
    `write`. ``messages`` are those of this transaction, in commit order; ``changes`` counts its
    writes. The table ``tallies`` is brought up to date at its end, by itself.
    """

    def __init__(self, connection: sqlite3.Connection, tail: LogTail) -> None:
        self._connection = connection
        self._tail = tail
        self.secret = tail.secret
        self._unsent = 0
        self._tallies = Tallies()
        self.messages: list[Message] = []
        self.changes = 0

    def last(self) -> int:
        """The log's last id."""
        return self._tail.last(self._connection)

    def last_of(self, session_id: str) -> int | None:
        """A session's last id, 0 if it is empty, None if it does not exist."""
        session = self.session(session_id)
        return None if session is None else session.last_id

    def session(self, session_id: str) -> SessionTail | None:
        """What is known of a session; None if it does not exist."""
        known = self._tail.known(session_id)
        if known is None:
            self.flush()
            known = self._tail.load(self._connection, session_id)
        return known

    def reload(self, session_id: str) -> None:
        """A session's row was changed: what is known of it is to be read anew."""
        self._tail.drop(session_id)

    def add(self, message: Message) -> None:
        """Append a message; its id and prev follow from `last` and `last_of`."""
        self.messages.append(message)
        self.changes += 1
        self._unsent += 1
        self._tail.advance(message)
        if message.deletes is None:
            self._tallies.change(message, 1)

    def uncount(self, message: Message) -> None:
        """A message is deleted by this transaction: tallies no longer count it."""
        self._tallies.change(message, -1)

    def read(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run a statement that changes nothing; it sees all messages added before."""
        self.flush()
        return self._connection.execute(sql, parameters)

    def write(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run a statement that changes something; it sees all messages added before."""
        self.flush()
        self.changes += 1
        return self._connection.execute(sql, parameters)

    def flush(self) -> None:
        """Insert the messages that were added since the last time."""
        if self._unsent:
            added = self.messages[-self._unsent :]
            self._unsent = 0
            self._connection.executemany(INSERT_MESSAGE, map(message_row, added))
            self._tail.index.note(added)

    def finish(self) -> None:
        """Write what is left: the last messages, and the tallies."""
        self.flush()
        self._tallies.write(self._connection)

    def undo_to(self, count: int) -> None:
        """Forget all messages but the first ``count``: a savepoint was rolled back."""
        del self.messages[count:]
        self._unsent = 0
        self._tallies.clear()
        self._tail.forget()


class Operation(Protocol[T_co]):
    """A write.

    ``apply`` runs in the writer's thread and may run twice: it changes nothing but the database.
    A `PartylineError` raised before the first change fails this operation and no other.
    """

    @property
    def size(self) -> int:
        """Bytes it holds while it waits."""

    def apply(self, transaction: Transaction) -> T_co:
        """Write, and return what the caller gets once it is committed."""


class Outcome(NamedTuple):
    """What became of an operation: its result, or the error it failed with."""

    result: Any = None
    error: Exception | None = None


class Committed(NamedTuple):
    """Outcomes in the order of the operations, and the messages that are now in the log."""

    outcomes: list[Outcome]
    messages: list[Message]


def commit(
    connection: sqlite3.Connection, tail: LogTail, operations: Sequence[Operation[Any]]
) -> Committed:
    """Run all operations in one transaction and commit it.

    Raises:
        sqlite3.Error: nothing was committed; the connection should not be used any more.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            committed = _run_together(connection, tail, operations)
        except Exception:
            _roll_back(connection, tail)
            connection.execute("BEGIN IMMEDIATE")
            committed = _run_apart(connection, tail, operations)
        tail.index.keep_up(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            _roll_back(connection, tail)
        raise
    return committed


def _run_together(
    connection: sqlite3.Connection, tail: LogTail, operations: Sequence[Operation[Any]]
) -> Committed:
    transaction = Transaction(connection, tail)
    outcomes = []
    for operation in operations:
        before = transaction.changes
        try:
            outcomes.append(Outcome(operation.apply(transaction)))
        except PartylineError as error:
            if transaction.changes != before:
                raise
            outcomes.append(Outcome(error=error))
    transaction.finish()
    return Committed(outcomes, transaction.messages)


def _run_apart(
    connection: sqlite3.Connection, tail: LogTail, operations: Sequence[Operation[Any]]
) -> Committed:
    transaction = Transaction(connection, tail)
    outcomes = []
    for operation in operations:
        count = len(transaction.messages)
        connection.execute("SAVEPOINT operation")
        try:
            outcome = Outcome(operation.apply(transaction))
            transaction.finish()
        except Exception as error:
            if not connection.in_transaction:  # the disk is full, or broken: SQLite rolled back
                raise
            connection.execute("ROLLBACK TO operation")
            transaction.undo_to(count)
            outcome = Outcome(error=error)
        connection.execute("RELEASE operation")
        outcomes.append(outcome)
    return Committed(outcomes, transaction.messages)


def _roll_back(connection: sqlite3.Connection, tail: LogTail) -> None:
    tail.forget()
    if connection.in_transaction:
        connection.execute("ROLLBACK")
