"""Reads from a SQLite database, each in one snapshot."""

import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiosqlite

from mcp_node.log.sql import Connection
from mcp_node.log.sqlite.connection import connect_reader, run_job
from mcp_node.log.writer import describe
from proto.errors import Unavailable

T = TypeVar("T")

logger = logging.getLogger(__name__)


class SqliteReader:
    """`mcp_node.log.database.Reader` on SQLite.

    Args:
        path: the database file, after `mcp_node.log.sqlite.schema.prepare`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: aiosqlite.Connection | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            sqlite3.Error: the database cannot be opened.
        """
        self._connection = await connect_reader(self._path)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one snapshot; see `Database.read`."""
        if self._connection is None:
            raise Unavailable("The message log is closed.")
        try:
            return await run_job(self._connection, partial(_in_snapshot, work))
        except (sqlite3.Error, ValueError) as error:
            logger.error("a read failed: %s", describe(error))
            raise Unavailable("The message log cannot be read.") from None

    async def close(self) -> None:
        """Close the connection after the read in progress. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _in_snapshot(work: Callable[[Connection], T], connection: Connection) -> T:
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        connection.execute("ROLLBACK")
