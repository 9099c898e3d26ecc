"""Runs many operations in one transaction, so that a bad one fails alone.

The first attempt runs all operations without savepoints and inserts their messages together at the
end, which is fast. If anything fails unexpectedly, the transaction is rolled back and every
operation runs again under a savepoint of its own, so that only the bad one fails. Both attempts
run in the writer's thread.

The log knows no feature. A feature that keeps rows or counts in step with the log registers a
`Companion`, which the transaction calls whenever messages are added, erased or pruned.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from mcp_node.log.messages import INSERT_MESSAGE, message_row
from mcp_node.log.sql import Connection, Cursor, Parameters
from mcp_node.log.tail import LogTail
from proto.errors import PartylineError
from proto.messages import Message

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
C = TypeVar("C", bound="Companion")


class Companion:
    """What a feature keeps in step with the log. Methods do nothing unless overridden.

    They run in the writer's thread, within its transaction. One instance is used from the opening
    of the database to its closing.
    """

    def added(self, message: Message) -> None:
        """Called when a message was added. Its row is inserted later, before `finish`."""

    def erasing(self, transaction: "Transaction", message: Message) -> None:
        """Called before a message's content and metadata are erased; ``message`` has them."""

    def editing(self, transaction: "Transaction", message: Message, edit: Message) -> None:
        """Called before a message gets the texts of ``edit``, the entry that is added for it."""

    def edited(self, transaction: "Transaction", message: Message) -> None:
        """Called when a message has new texts; ``message`` has them."""

    def pruning(self, transaction: "Transaction", ids: str) -> None:
        """Called before messages are pruned, to remove what refers to them.

        Args:
            transaction: the one that prunes.
            ids: a JSON array of their ids. The last message of a session and audience keeps its
                row and loses only its content and metadata.
        """

    def pruned(self, transaction: "Transaction", session_id: str) -> None:
        """Called after messages of a session were pruned."""

    def finish(self, connection: Connection) -> None:
        """Called when all messages added so far are inserted, to write what follows from them."""

    @property
    def reads_to_finish(self) -> bool:
        """Whether `finish` will read; else its writes may be sent without waiting for each."""
        return False

    def forget(self) -> None:
        """Called after a rollback. Discard pending work and everything cached."""

    def others_committed(self, connection: Connection, added: Sequence[Message] | None) -> None:
        """Called when other nodes have committed since the last transaction, before the next one.

        Correct or discard what is cached of what they may have changed.

        Args:
            connection: within the next transaction.
            added: the messages that they have added, without content and metadata; None: too many.
        """


class Transaction:
    """The transaction that an operation writes through.

    Messages are added with `add`, so that the writer can announce them; everything else is
    written with `write`.

    Attributes:
        messages: the messages added so far, in commit order.
        changes: the number of writes so far.
    """

    def __init__(
        self, connection: Connection, tail: LogTail, companions: Sequence[Companion]
    ) -> None:
        self._connection = connection
        self._tail = tail
        self._companions = companions
        self._uninserted = 0
        self._uninserted_in: set[str] = set()
        self.messages: list[Message] = []
        self.changes = 0

    def last(self) -> int:
        """The log's last id, 0 if it is empty."""
        return self._tail.last(self._connection)

    def last_of(self, session_id: str) -> int:
        """A session's last id, 0 if it has no messages or does not exist."""
        last_id = self._tail.cached(session_id)
        if last_id is None:
            # The cache evicts sessions, so a message of this transaction may be evicted before
            # its row exists: insert it first, or the database would give an older id.
            self._flush_of(session_id)
            last_id = self._tail.load(self._connection, session_id)
        return last_id

    def companion(self, kind: type[C]) -> C:
        """The registered companion of a class.

        Raises:
            LookupError: none of that class is registered.
        """
        for companion in self._companions:
            if isinstance(companion, kind):
                return companion
        raise LookupError(f"no {kind.__name__} is registered")

    def add(self, message: Message) -> None:
        """Append a message. The caller has set its id and prev from `last` and `last_of`."""
        self.messages.append(message)
        self.changes += 1
        self._uninserted += 1
        self._uninserted_in.add(message.session_id)
        self._tail.advance(message)
        for companion in self._companions:
            companion.added(message)

    def erasing(self, message: Message) -> None:
        """Call `Companion.erasing` of every companion."""
        for companion in self._companions:
            companion.erasing(self, message)

    def editing(self, message: Message, edit: Message) -> None:
        """Call `Companion.editing` of every companion."""
        for companion in self._companions:
            companion.editing(self, message, edit)

    def edited(self, message: Message) -> None:
        """Call `Companion.edited` of every companion."""
        for companion in self._companions:
            companion.edited(self, message)

    def pruning(self, ids: str) -> None:
        """Call `Companion.pruning` of every companion."""
        for companion in self._companions:
            companion.pruning(self, ids)

    def pruned(self, session_id: str) -> None:
        """Call `Companion.pruned` of every companion."""
        for companion in self._companions:
            companion.pruned(self, session_id)

    def read(self, sql: str, parameters: Parameters = ()) -> Cursor:
        """Run a statement that changes nothing. It sees all messages added before."""
        self.flush()
        return self._connection.execute(sql, parameters)

    def read_of(self, session_id: str, sql: str, parameters: Parameters = ()) -> Cursor:
        """Run a statement that reads of one session only, and changes nothing.

        It sees all messages added to that session before. Those of other sessions wait, so that
        they are inserted together.
        """
        self._flush_of(session_id)
        return self._connection.execute(sql, parameters)

    def look(self, session_id: str, work: Callable[[Connection], T]) -> T:
        """Run a read of one session, as `read_of` does."""
        self._flush_of(session_id)
        return work(self._connection)

    def write(self, sql: str, parameters: Parameters = ()) -> Cursor:
        """Run a statement that changes the database. It sees all messages added before."""
        self.flush()
        self.changes += 1
        return self._connection.execute(sql, parameters)

    def flush(self) -> None:
        """Insert the rows of messages added since the last flush."""
        if self._uninserted:
            added = self.messages[-self._uninserted :]
            self._uninserted = 0
            self._uninserted_in.clear()
            self._connection.executemany(INSERT_MESSAGE, map(message_row, added))

    def _flush_of(self, session_id: str) -> None:
        if session_id in self._uninserted_in:
            self.flush()

    def finish(self) -> None:
        """Insert the remaining messages and let the companions finish."""
        self.flush()
        for companion in self._companions:
            companion.finish(self._connection)

    @property
    def reads_to_finish(self) -> bool:
        """Whether `finish` will wait for the database in between."""
        return any(companion.reads_to_finish for companion in self._companions)

    def undo_to(self, count: int) -> None:
        """Discard all messages but the first ``count``, after a savepoint was rolled back."""
        del self.messages[count:]
        self._uninserted = 0
        self._uninserted_in.clear()
        forget(self._tail, self._companions)


def forget(tail: LogTail, companions: Sequence[Companion]) -> None:
    """Discard all caches, after a rollback: they may contain what was rolled back."""
    tail.forget()
    for companion in companions:
        companion.forget()


def others_committed(
    connection: Connection, tail: LogTail, companions: Sequence[Companion]
) -> None:
    """Correct the caches, within a transaction, after other nodes' transactions."""
    added = tail.catch_up(connection)
    for companion in companions:
        companion.others_committed(connection, added)


class Operation(Protocol[T_co]):
    """A write.

    ``apply`` runs in the writer's thread and may run twice, so it must change nothing but the
    database. A `PartylineError` raised before the first change fails this operation alone and
    needs no rollback.
    """

    @property
    def size(self) -> int:
        """Approximate bytes of memory it uses while pending."""

    def apply(self, transaction: Transaction) -> T_co:
        """Run the operation; the caller gets the result once it is committed."""


class Outcome(NamedTuple):
    """The result of an operation, or the error it failed with."""

    result: Any = None
    error: Exception | None = None


class Committed(NamedTuple):
    """The outcomes, in the order of the operations, and the messages that were committed."""

    outcomes: list[Outcome]
    messages: list[Message]


def run_together(transaction: Transaction, operations: Sequence[Operation[Any]]) -> Committed:
    """Run all operations straight through. The caller finishes the transaction.

    Raises:
        Exception: an operation failed after its first change, or the database refused something.
            Roll back and call `run_separately`, in which only the culprit fails.
    """
    outcomes = []
    for operation in operations:
        before = transaction.changes
        try:
            outcomes.append(Outcome(operation.apply(transaction)))
        except PartylineError as error:
            if transaction.changes != before:  # its writes must go: start over with savepoints
                raise
            outcomes.append(Outcome(error=error))
    return Committed(outcomes, transaction.messages)


def run_separately(
    connection: Connection, transaction: Transaction, operations: Sequence[Operation[Any]]
) -> Committed:
    """Run every operation under a savepoint of its own.

    Raises:
        Exception: the engine has rolled back the whole transaction.
    """
    outcomes = []
    for operation in operations:
        count = len(transaction.messages)
        connection.execute("SAVEPOINT operation")
        try:
            outcome = Outcome(operation.apply(transaction))
            transaction.finish()
        except Exception as error:
            # On some errors, such as a full disk, SQLite has rolled back the whole transaction.
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO operation")
            transaction.undo_to(count)
            outcome = Outcome(error=error)
        connection.execute("RELEASE operation")
        outcomes.append(outcome)
    return Committed(outcomes, transaction.messages)
