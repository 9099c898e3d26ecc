"""Many operations in one transaction, of which a bad one fails alone.

The first attempt runs all operations straight through, their rows inserted together at the end.
Should the database refuse anything, it is rolled back and every operation runs again under its
own savepoint: then only the culprit fails. Both happen in the writer's thread.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from mcp_node.store.queries import INSERT_MESSAGE, message_row
from proto.errors import PartylineError
from proto.messages import Message

CACHED_SESSIONS: Final = 10_000
"""Sessions whose last id the writer remembers."""

T_co = TypeVar("T_co", covariant=True)


class LogTail:
    """Where the log ends, and each session in it: loaded from the index on demand, then kept.

    Authoritative because there is one writer; forgotten whenever anything is rolled back.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._sessions: dict[str, int] = {}

    def last(self, connection: sqlite3.Connection) -> int:
        """The log's last id, 0 if it is empty."""
        if self._last is None:
            (self._last,) = connection.execute("SELECT ifnull(max(id), 0) FROM messages").fetchone()
        return self._last

    def last_of(self, connection: sqlite3.Connection, session_id: str) -> int | None:
        """A session's last id, 0 if it is empty, None if it does not exist."""
        known = self._sessions.get(session_id)
        if known is not None:
            return known
        row = connection.execute(
            "SELECT (SELECT ifnull(max(id), 0) FROM messages WHERE session_id = ?1)"
            " FROM sessions WHERE session_id = ?1",
            (session_id,),
        ).fetchone()
        if row is None:
            return None
        self._remember(session_id, row[0])
        return int(row[0])

    def advance(self, session_id: str, last_id: int) -> None:
        """A message was added at the end."""
        self._last = last_id
        self._remember(session_id, last_id)

    def forget(self) -> None:
        """Load everything anew."""
        self._last = None
        self._sessions.clear()

    def _remember(self, session_id: str, last_id: int) -> None:
        self._sessions.pop(session_id, None)
        if len(self._sessions) >= CACHED_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session_id] = last_id


class Transaction:
    """What an operation writes through.

    Messages go in with `add`, so that the writer can announce them; everything else with
    `write`. ``messages`` are those of this transaction, in commit order; ``changes`` counts its
    writes.
    """

    def __init__(self, connection: sqlite3.Connection, tail: LogTail) -> None:
        self._connection = connection
        self._tail = tail
        self._unsent = 0
        self.messages: list[Message] = []
        self.changes = 0

    def last(self) -> int:
        """The log's last id."""
        return self._tail.last(self._connection)

    def last_of(self, session_id: str) -> int | None:
        """A session's last id, 0 if it is empty, None if it does not exist."""
        return self._tail.last_of(self._connection, session_id)

    def add(self, message: Message) -> None:
        """Append a message; its id and prev follow from `last` and `last_of`."""
        self.messages.append(message)
        self.changes += 1
        self._unsent += 1
        self._tail.advance(message.session_id, message.id)

    def read(self, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run a statement that changes nothing; it sees all messages added before."""
        self.flush()
        return self._connection.execute(sql, parameters)

    def write(self, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run a statement that changes something; it sees all messages added before."""
        self.flush()
        self.changes += 1
        return self._connection.execute(sql, parameters)

    def flush(self) -> None:
        """Insert the messages that were added since the last time."""
        if self._unsent:
            rows = [message_row(message) for message in self.messages[-self._unsent :]]
            self._unsent = 0
            self._connection.executemany(INSERT_MESSAGE, rows)

    def undo_to(self, count: int) -> None:
        """Forget all messages but the first ``count``: a savepoint was rolled back."""
        del self.messages[count:]
        self._unsent = 0
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
    transaction.flush()
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
            transaction.flush()
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
