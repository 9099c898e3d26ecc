"""The writing connection to PostgreSQL, and the transactions on it.

Several nodes may write. Every transaction begins with the log's advisory lock, so they come one
after the other, ids follow each other without holes, and nobody sees an id before the one below it.
A transaction's number tells whether another node has committed since this node's last one: then
what is cached of the log is discarded.

A connection that is lost while a COMMIT is under way leaves the answer open. Every transaction
therefore stores its number under its node's name. The node connects again, takes the lock, after
which the lost transaction has ended one way or the other, and looks which number is stored. So a
lost answer is settled, never guessed.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.errors import IdleInTransactionSessionTimeout

from mcp_node.log.postgres.connection import PostgresConnection
from mcp_node.log.postgres.identity import (
    LOCK_LOG,
    NEXT_NUMBER,
    SYNCHRONOUS,
    TIMELINE,
    LogIdentity,
    LogReplaced,
    share,
)
from mcp_node.log.tail import LogTail
from mcp_node.log.transaction import (
    Committed,
    Companion,
    Operation,
    Transaction,
    forget,
    others_committed,
    run_separately,
    run_together,
)
from mcp_node.log.writer import Unsettled, describe

RETRY_SECONDS: Final = 5.0
"""How long a transaction is repeated that lost its connection before its COMMIT."""

REPEAT_SECONDS: Final = 0.1
"""Pause before each repetition."""

SETTLE_SECONDS: Final = 10.0
"""How long a lost answer is looked for before its callers are told that it is unknown."""

LOCK_WAIT: Final = "10s"
FROZEN: Final = "1s"
"""The server ends a transaction after so long without a statement: its node is stopped or gone, and
the lock that it holds keeps all others waiting."""

_TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
_STORED_NUMBER: Final = "SELECT number FROM batches WHERE node = ?"
_STORE_NUMBER: Final = f"""
    INSERT INTO batches (node, number, timeline, synchronous, at)
    SELECT ?, {NEXT_NUMBER}, {TIMELINE}, {SYNCHRONOUS}, now()
    ON CONFLICT (node) DO UPDATE SET number = excluded.number, timeline = excluded.timeline,
        synchronous = excluded.synchronous, at = excluded.at
    RETURNING number
"""
# A node that may still look for its last number has connected within the last minutes.
_FORGET_ENDED: Final = """
    DELETE FROM batches
    WHERE at < now() - interval '1 day' AND number < (SELECT max(number) FROM batches)
"""

logger = logging.getLogger(__name__)


class Batches:
    """The writing connection, used in one thread.

    Args:
        connect: gives a connection; see `mcp_node.log.postgres.connection.connect`.
        lock: the number of the log's advisory lock.
        node: random name of this run of the node.
        companions: what features keep in step with the log.
        identity: of the log.
    """

    def __init__(
        self,
        connect: Callable[[], PostgresConnection],
        lock: int,
        node: str,
        companions: Sequence[Companion],
        identity: LogIdentity,
    ) -> None:
        self._connect = connect
        self._lock = lock
        self._node = node
        self._companions = companions
        self._tail = LogTail()
        self._connection: PostgresConnection | None = None
        self._identity = identity
        self._number = 0

    def open(self) -> None:
        """Connect, wait for what an earlier connection has under way, and read what it stored.

        Raises:
            LogMoving: ``partyline migrate`` uses it.
            LogReplaced: the server holds another log.
            psycopg.Error: the database cannot be used.
        """
        self.close()
        connection = self._connect()
        try:
            share(connection, self._lock)
            self._identity.check(connection)
            with connection.raw.transaction():
                connection.execute(LOCK_LOG, (self._lock,))
                row = connection.execute(_STORED_NUMBER, (self._node,)).fetchone()
                connection.execute(_FORGET_ENDED)
        except BaseException:
            connection.raw.close()
            raise
        self._connection = connection
        self._number = 0 if row is None else row[0]
        forget(self._tail, self._companions)

    def close(self) -> None:
        """Close the connection; what it has under way is rolled back. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.raw.close()

    def vacuum(self) -> None:
        """Remove dead rows from all tables, on a connection of its own. For any thread.

        Raises:
            psycopg.Error: the database cannot be used.
        """
        connection = self._connect()
        try:
            # The index of search, mentions and keys had something of a message as well.
            tables = [sql.Identifier(name) for (name,) in connection.raw.execute(_TABLES)]
            connection.raw.execute(sql.SQL("VACUUM {}").format(sql.SQL(", ").join(tables)))
        finally:
            connection.raw.close()

    def commit(self, operations: Sequence[Operation[Any]]) -> Committed:
        """Run all operations in one transaction and commit it.

        If nothing was committed because the connection was lost, or because this process stood
        still for longer than `FROZEN`, it runs them again on a new connection, for `RETRY_SECONDS`
        and at least once: a restart of the server fails no write.

        Raises:
            Unsettled: it may have been committed.
            Exception: nothing was committed.
        """
        deadline, attempts = time.monotonic() + RETRY_SECONDS, 0
        while True:
            attempts += 1
            try:
                return self._commit(operations)
            except LogReplaced:
                raise
            except (psycopg.OperationalError, IdleInTransactionSessionTimeout) as error:
                if attempts > 1 and time.monotonic() > deadline:
                    raise
                if attempts == 1:
                    logger.warning("a transaction is repeated (%s)", describe(error))
                self.close()
                time.sleep(REPEAT_SECONDS)

    def _commit(self, operations: Sequence[Operation[Any]]) -> Committed:
        if self._connection is None:
            self.open()
        connection = self._connection
        assert connection is not None
        try:
            number = self._begin(connection)
            committed = self._together(connection, number, operations)
            if committed is None:
                committed = self._separately(connection, number, operations)
        except BaseException:
            self._roll_back(connection)
            raise
        self._number = number
        if committed.messages:
            self._identity.saw(committed.messages[-1].id)
        return committed

    def _begin(self, connection: PostgresConnection) -> int:
        """Begin a transaction under the log's lock; its number."""
        with connection.raw.pipeline():
            connection.raw.execute("BEGIN")
            connection.execute(LOCK_LOG, (self._lock,))
            stored = connection.execute(_STORE_NUMBER, (self._node,))
            connection.raw.execute("SAVEPOINT operations")
        number = int(stored.fetchone()[0])
        if number != self._number + 1:
            others_committed(connection, self._tail, self._companions)
        return number

    def _together(
        self, connection: PostgresConnection, number: int, operations: Sequence[Operation[Any]]
    ) -> Committed | None:
        """Run and commit all operations; None if one failed, with the transaction still open.

        The last statements and the COMMIT are sent together: after each answer that it waits for,
        this thread has to wait for the GIL as well.
        """
        transaction = Transaction(connection, self._tail, self._companions)
        sent = False
        try:
            committed = run_together(transaction, operations)
            finished = transaction.reads_to_finish
            if finished:
                transaction.finish()
            with connection.raw.pipeline():
                if not finished:
                    transaction.finish()
                sent = True
                connection.raw.execute("COMMIT")
        except Exception as error:
            if sent and isinstance(error, psycopg.Error) and not _refused(error):
                if self._is_stored(number, error):
                    return committed
                raise
            if not connection.in_transaction:
                raise
            forget(self._tail, self._companions)
            connection.execute("ROLLBACK TO operations")
            return None
        return committed

    def _separately(
        self, connection: PostgresConnection, number: int, operations: Sequence[Operation[Any]]
    ) -> Committed:
        """Run each operation under a savepoint of its own, and commit."""
        transaction = Transaction(connection, self._tail, self._companions)
        committed = run_separately(connection, transaction, operations)
        try:
            connection.raw.execute("COMMIT")
        except psycopg.Error as error:
            if not self._is_stored(number, error):
                raise
        return committed

    def _is_stored(self, number: int, error: psycopg.Error) -> bool:
        """Whether a COMMIT that failed took effect all the same.

        Raises:
            Unsettled: the database did not answer within `SETTLE_SECONDS`.
        """
        if _refused(error):
            return False
        logger.warning("the answer to a commit was lost (%s)", describe(error))
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                self.open()
            except psycopg.Error as failure:
                if isinstance(failure, LogReplaced) or time.monotonic() > deadline:
                    raise Unsettled from error
                time.sleep(REPEAT_SECONDS)
            else:
                return self._number == number

    def _roll_back(self, connection: PostgresConnection) -> None:
        forget(self._tail, self._companions)
        with suppress(psycopg.Error):
            if connection.in_transaction:
                connection.raw.execute("ROLLBACK")
        if connection.raw.broken:
            self.close()


def _refused(error: psycopg.Error) -> bool:
    """Whether the server answered that a statement failed, so that a COMMIT had no effect.

    If it ended the session instead, even with an error, a COMMIT may have had its effect before.
    """
    return error.diag.severity_nonlocalized == "ERROR"
