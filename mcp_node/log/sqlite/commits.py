"""The writable connection to a SQLite database, and the transactions on it."""

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiosqlite

from mcp_node.log.sql import Connection
from mcp_node.log.sqlite.connection import BUSY_MS, AddFunctions, connect_writer, run_job
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
from mcp_node.log.writer import describe
from proto.errors import Unavailable
from proto.messages import utc_now

logger = logging.getLogger(__name__)


class SqliteCommits:
    """`mcp_node.log.writer.Commits` on SQLite.

    Args:
        path: the database, prepared.
        add_functions: registers the SQL functions that triggers call.
        companions: what the features keep in step with the log.
    """

    def __init__(
        self, path: Path, add_functions: AddFunctions, companions: Sequence[Companion]
    ) -> None:
        self._path = path
        self._add_functions = add_functions
        self._companions = companions
        self._tail = LogTail()
        self._connection: aiosqlite.Connection | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            sqlite3.Error: the database cannot be opened.
        """
        self._connection = await connect_writer(self._path, self._add_functions)

    async def commit(self, operations: Sequence[Operation[Any]]) -> Committed:
        """Run all operations in one transaction and commit it; see `Commits.commit`."""
        if self._connection is None:
            self._connection = await connect_writer(self._path, self._add_functions)
        return await run_job(
            self._connection,
            lambda connection: commit(connection, self._tail, self._companions, operations),
        )

    async def recover(self) -> None:
        """Replace the connection after a failed commit. If that fails, the next batch retries."""
        await self.close()
        try:
            connection = await connect_writer(self._path, self._add_functions)
        except Exception as error:
            logger.error("database cannot be reopened: %s", describe(error))
            return
        self._connection = connection
        # A commit whose fsync failed leaves complete frames in the WAL. Its callers are told that
        # nothing was stored, but recovery after a crash would find those frames and bring the
        # messages back. A write of our own overwrites them, even if its fsync fails too. It must
        # change a value: SQLite does not write a page that stays the same.
        with suppress(sqlite3.Error):
            await connection.execute_fetchall(
                "REPLACE INTO meta VALUES ('reopened', ?)", (utc_now(),)
            )

    async def checkpoint(self) -> bool:
        """Truncate the write-ahead log between two commits; see `Database.checkpoint`."""
        if self._connection is None:
            raise Unavailable("The message log is closed.")
        try:
            return await run_job(self._connection, _checkpoint)
        except (sqlite3.Error, ValueError) as error:
            logger.error("the write-ahead log cannot be truncated: %s", describe(error))
            raise Unavailable("The message log cannot be written.") from None

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close()
            except Exception as error:
                logger.error("closing the database failed: %s", describe(error))


def commit(
    connection: Connection,
    tail: LogTail,
    companions: Sequence[Companion],
    operations: Sequence[Operation[Any]],
) -> Committed:
    """Run all operations in one transaction and commit it.

    Raises:
        sqlite3.Error: nothing was committed. The connection must not be used again.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            transaction = Transaction(connection, tail, companions)
            committed = run_together(transaction, operations)
            transaction.finish()
        except Exception:
            _roll_back(connection, tail, companions)
            connection.execute("BEGIN IMMEDIATE")
            transaction = Transaction(connection, tail, companions)
            committed = run_separately(connection, transaction, operations)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            _roll_back(connection, tail, companions)
        raise
    return committed


def _roll_back(connection: Connection, tail: LogTail, companions: Sequence[Companion]) -> None:
    forget(tail, companions)
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _checkpoint(connection: sqlite3.Connection) -> bool:
    # Do not wait for readers: this is the writer's thread, so every write would wait too.
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return not busy
