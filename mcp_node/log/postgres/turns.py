"""Commits of many nodes, one after another.

Every transaction that writes takes one advisory lock first, so that ids rise in commit order and
nobody sees id n+1 before n. Under the lock a node learns whether another one has written since its
own last turn: then it forgets what it has cached, and reads the messages it has not seen.

A connection that is lost while a COMMIT is under way leaves the answer open. The node connects
again, raises its generation under the lock, and looks whether its batch is there: after that, the
lost transaction can no longer commit, because it holds the old generation. So a lost answer is
settled, never guessed.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import psycopg

from mcp_node.log.messages import COLUMNS, message_from_row
from mcp_node.log.postgres.connection import PostgresConnection
from mcp_node.log.tail import LogTail
from mcp_node.log.transaction import (
    Committed,
    Companion,
    Operation,
    Transaction,
    forget,
    run_separately,
    run_together,
)
from mcp_node.log.writer import Unsettled
from proto.messages import Message

RETRY_SECONDS: Final = 5.0
"""How long a transaction is repeated that lost its connection before its COMMIT."""

SETTLE_SECONDS: Final = 10.0
"""How long a lost answer is looked for before its writers are told that it is unknown."""

OTHERS_AT_ONCE: Final = 500
"""Messages of other nodes read in one statement."""

LOCK_WAIT: Final = "10s"
FROZEN: Final = "1s"
"""After so long without a statement the server ends a writing transaction: its node is stopped or
gone, and all others wait for its lock."""

_TAKE: Final = "SELECT pg_advisory_xact_lock(?)"
_LATEST: Final = (
    "SELECT w.generation, w.batch, w.turn, (SELECT max(turn) FROM writers) FROM writers AS w"
    " WHERE w.node = ?"
)
_ENTER: Final = (
    "INSERT INTO writers (node, generation, batch, turn) VALUES (?, 1, 0, 0)"
    " ON CONFLICT (node) DO UPDATE SET generation = writers.generation + 1, at = now()"
    " RETURNING generation, batch"
)
_LEAVE: Final = (
    "UPDATE writers SET batch = ?, turn = ?, at = now() WHERE node = ? AND generation = ?"
)
_FORGET_GONE: Final = "DELETE FROM writers WHERE at < now() - interval '7 days' AND node <> ?"
_OTHERS: Final = f"SELECT {COLUMNS} FROM messages WHERE id > ? ORDER BY id LIMIT {OTHERS_AT_ONCE}"
_LAST: Final = "SELECT ifnull(max(id), 0) FROM messages"

logger = logging.getLogger(__name__)


class Fenced(Exception):
    """This connection's generation is over."""


class Turn(NamedTuple):
    """What a transaction did, and others' messages that the node had not seen before it."""

    committed: Committed
    others: list[Message]


class Turns:
    """The writing connection of a node. Used in one thread.

    Args:
        connect: gives a connection; see `mcp_node.log.postgres.connection.connect`.
        lock: the number of the advisory lock.
        node: the node's name in the table of writers, never used by another process.
        companions: what the features keep in step with the log.
        seen: the log's last id that the node has announced.
    """

    def __init__(
        self,
        connect: Callable[[], PostgresConnection],
        lock: int,
        node: str,
        companions: Sequence[Companion],
        seen: int,
    ) -> None:
        self._connect = connect
        self._lock = lock
        self._node = node
        self._companions = companions
        self._tail = LogTail()
        self._connection: PostgresConnection | None = None
        self._generation = 0
        self._batch = 0
        self._turn = 0
        self._seen = seen
        self._clock = time.monotonic

    @property
    def seen(self) -> int:
        """The log's last id that was given out, by `commit` or `catch_up`."""
        return self._seen

    def open(self) -> None:
        """Connect, and end what an earlier connection may still have under way.

        Raises:
            psycopg.Error: the database cannot be reached.
        """
        self.close()
        connection = self._connect()
        try:
            with connection.raw.transaction():
                connection.execute(_TAKE, (self._lock,))
                generation, batch = connection.execute(_ENTER, (self._node,)).fetchone()
                connection.execute(_FORGET_GONE, (self._node,))
        except BaseException:
            connection.raw.close()
            raise
        self._connection, self._generation, self._batch = connection, generation, batch
        self._forget()

    def close(self) -> None:
        """Close the connection; what it has under way is rolled back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.raw.close()

    def commit(self, operations: Sequence[Operation[Any]]) -> Turn:
        """Run all operations in one transaction and commit it.

        If the connection is lost before the COMMIT is sent, it runs them again on a new one: so a
        database that is restarted, or a transaction that the server ended because this machine was
        too busy, fails no write.

        Raises:
            Unsettled: it may have been committed or not.
            Exception: nothing was committed.
        """
        deadline = self._clock() + RETRY_SECONDS
        while True:
            try:
                return self._commit(operations)
            except (psycopg.OperationalError, psycopg.InterfaceError, Fenced) as error:
                if self._clock() > deadline:
                    raise
                logger.warning("a transaction is repeated (%s)", type(error).__name__)
                self.close()
                time.sleep(0.05)

    def _commit(self, operations: Sequence[Operation[Any]]) -> Turn:
        if self._connection is None:
            self.open()
        connection = self._connection
        assert connection is not None
        try:
            others, latest = self._begin(connection)
            committed = self._run(connection, operations)
            turn = latest + 1
            batch = self._batch + 1
            connection.execute(_LEAVE, (batch, turn, self._node, self._generation))
        except BaseException:
            self._roll_back(connection)
            raise
        try:
            connection.raw.execute("COMMIT")
        except psycopg.Error as error:
            if not self._was_committed(batch, error):
                raise
        self._batch, self._turn = batch, turn
        if committed.messages:
            self._seen = committed.messages[-1].id
        elif others:
            self._seen = others[-1].id
        return Turn(committed, others)

    def _begin(self, connection: PostgresConnection) -> tuple[list[Message], int]:
        with connection.raw.pipeline():
            connection.raw.execute("BEGIN")
            connection.execute(_TAKE, (self._lock,))
            asked = connection.execute(_LATEST, (self._node,))
            row = asked.fetchone()
        if row is None or row[0] != self._generation:
            raise Fenced("another connection writes in this node's name")
        _, _, mine, latest = row
        if latest == self._turn and mine == latest:
            return [], latest
        self._forget()
        return read_others(connection, self._seen), latest

    def _run(
        self, connection: PostgresConnection, operations: Sequence[Operation[Any]]
    ) -> Committed:
        connection.execute("SAVEPOINT batch")
        try:
            together = Transaction(connection, self._tail, self._companions)
            return run_together(together, operations)
        except Exception:
            if not connection.in_transaction:
                raise
            self._forget()
            connection.execute("ROLLBACK TO batch")
            apart = Transaction(connection, self._tail, self._companions)
            return run_separately(connection, apart, operations)

    def _was_committed(self, batch: int, error: psycopg.Error) -> bool:
        """Whether a COMMIT that failed took effect all the same.

        Raises:
            Unsettled: the database did not answer within `SETTLE_SECONDS`.
        """
        connection = self._connection
        if connection is not None and not connection.raw.broken:
            self._roll_back(connection)
            return False  # the server refused it, and said so
        logger.warning("the answer to a commit was lost (%s)", type(error).__name__)
        deadline = self._clock() + SETTLE_SECONDS
        while True:
            try:
                self.open()
                return self._batch >= batch
            except psycopg.Error:
                if self._clock() > deadline:
                    raise Unsettled from error
                time.sleep(0.1)

    def _roll_back(self, connection: PostgresConnection) -> None:
        self._forget()
        with suppress(psycopg.Error):
            if connection.in_transaction:
                connection.raw.execute("ROLLBACK")
        if connection.raw.broken:
            self.close()

    def _forget(self) -> None:
        self._turn = -1
        forget(self._tail, self._companions)


def read_others(connection: PostgresConnection, after: int) -> list[Message]:
    """All messages after an id, within the transaction under way."""
    found: list[Message] = []
    while True:
        rows = connection.execute(_OTHERS, (after,)).fetchall()
        found += [message_from_row(row) for row in rows]
        if len(rows) < OTHERS_AT_ONCE:
            return found
        after = found[-1].id
