"""Many operations in one transaction, of which a bad one fails alone.

The first attempt runs all operations straight through, their rows inserted together at the end.
Should the database refuse anything, it is rolled back and every operation runs again under its
own savepoint: then only the culprit fails. Both happen in the writer's thread.

The log knows no feature. A feature that keeps rows or counts in step with the log registers a
`Companion`, which the transaction calls whenever messages are added, erased or pruned.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from mcp_node.log.messages import INSERT_MESSAGE, message_row
from mcp_node.log.sql import Connection, Cursor, Parameters
from mcp_node.log.tail import LogTail
from proto.errors import PartylineError
from proto.messages import Message

T_co = TypeVar("T_co", covariant=True)
C = TypeVar("C", bound="Companion")


class Companion:
    """What a feature keeps in step with the log. Every method does nothing by default.

    The methods run in the writer's thread, within its transaction. One instance serves a store
    from its opening to its closing; after `forget` it must believe nothing that it has cached.
    """

    def added(self, message: Message) -> None:
        """A message was added; its row is inserted before `finish`."""

    def erasing(self, transaction: "Transaction", message: Message) -> None:
        """A message's texts are about to be erased; ``message`` still has them."""

    def pruning(self, transaction: "Transaction", ids: str) -> None:
        """Messages are about to be pruned: take back what refers to them.

        Args:
            transaction: the one that prunes.
            ids: a JSON array of their ids. Of a session's last message only the texts go.
        """

    def pruned(self, transaction: "Transaction", session_id: str) -> None:
        """Messages of a session were pruned."""

    def finish(self, connection: Connection) -> None:
        """All messages added so far are inserted: write what follows from them."""

    def forget(self) -> None:
        """Something was rolled back: forget what is pending, and all that was cached."""


class Transaction:
    """What an operation writes through.

    Messages go in with `add`, so that the writer can announce them; everything else with
    `write`. ``messages`` are those of this transaction, in commit order; ``changes`` counts its
    writes.
    """

    def __init__(
        self, connection: Connection, tail: LogTail, companions: Sequence[Companion]
    ) -> None:
        self._connection = connection
        self._tail = tail
        self._companions = companions
        self._unsent = 0
        self.messages: list[Message] = []
        self.changes = 0

    def last(self) -> int:
        """The log's last id, 0 if it is empty."""
        return self._tail.last(self._connection)

    def last_of(self, session_id: str) -> int:
        """A session's last id, 0 if it has no messages or does not exist."""
        known = self._tail.known(session_id)
        if known is None:
            self.flush()
            known = self._tail.load(self._connection, session_id)
        return known

    def companion(self, kind: type[C]) -> C:
        """The registered companion of that class."""
        for companion in self._companions:
            if isinstance(companion, kind):
                return companion
        raise LookupError(f"no {kind.__name__} is registered")

    def add(self, message: Message) -> None:
        """Append a message; its id and prev follow from `last` and `last_of`."""
        self.messages.append(message)
        self.changes += 1
        self._unsent += 1
        self._tail.advance(message)
        for companion in self._companions:
            companion.added(message)

    def erasing(self, message: Message) -> None:
        """Tell the companions that a message's texts are about to be erased."""
        for companion in self._companions:
            companion.erasing(self, message)

    def pruning(self, ids: str) -> None:
        """Tell the companions that messages are about to be pruned; see `Companion.pruning`."""
        for companion in self._companions:
            companion.pruning(self, ids)

    def pruned(self, session_id: str) -> None:
        """Tell the companions that messages of a session were pruned."""
        for companion in self._companions:
            companion.pruned(self, session_id)

    def read(self, sql: str, parameters: Parameters = ()) -> Cursor:
        """Run a statement that changes nothing; it sees all messages added before."""
        self.flush()
        return self._connection.execute(sql, parameters)

    def write(self, sql: str, parameters: Parameters = ()) -> Cursor:
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

    def finish(self) -> None:
        """Write what is left: the last messages, and what follows from them."""
        self.flush()
        for companion in self._companions:
            companion.finish(self._connection)

    def undo_to(self, count: int) -> None:
        """Forget all messages but the first ``count``: a savepoint was rolled back."""
        del self.messages[count:]
        self._unsent = 0
        forget(self._tail, self._companions)


def forget(tail: LogTail, companions: Sequence[Companion]) -> None:
    """Something was rolled back: nothing that was cached is believed any more."""
    tail.forget()
    for companion in companions:
        companion.forget()


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


def run_together(transaction: Transaction, operations: Sequence[Operation[Any]]) -> Committed:
    """Run all operations straight through.

    Raises:
        Exception: the database refused something, or an operation failed after its first change.
            The transaction must be rolled back; `run_apart` finds the culprit.
    """
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


def run_apart(
    connection: Connection, transaction: Transaction, operations: Sequence[Operation[Any]]
) -> Committed:
    """Run every operation under its own savepoint: one that fails undoes nothing but itself.

    Raises:
        Exception: the transaction is lost.
    """
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
