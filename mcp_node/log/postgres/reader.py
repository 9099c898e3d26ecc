"""Reads from PostgreSQL, each in one snapshot."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import psycopg

from mcp_node.log.postgres.connection import PostgresConnection, Thread
from mcp_node.log.sql import Connection
from mcp_node.log.writer import describe
from proto.errors import Unavailable

T = TypeVar("T")

_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

logger = logging.getLogger(__name__)


class PostgresReader:
    """`mcp_node.log.database.Reader` on PostgreSQL: reconnects when its connection was lost.

    Args:
        link: gives a connection.
        name: of its thread.
    """

    def __init__(self, link: Callable[[], PostgresConnection], name: str) -> None:
        self._link = link
        self._thread = Thread(name)
        self._connection: PostgresConnection | None = None
        self._closed = False
        self._away = False

    async def open(self) -> None:
        """Connect.

        Raises:
            psycopg.Error: the database cannot be reached.
        """
        await self._thread.run(self._reconnect)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one snapshot; see `Database.read`."""
        if self._closed:
            raise Unavailable("The message log is closed.")
        try:
            result = await self._thread.run(partial(self._read, work))
        except psycopg.Error as error:
            # While the server is away every read fails: one line tells of it.
            if not (self._away and isinstance(error, psycopg.OperationalError)):
                logger.error("a read failed: %s", describe(error))
            self._away = isinstance(error, psycopg.OperationalError)
            raise Unavailable("The message log cannot be read.") from None
        self._away = False
        return result

    async def close(self) -> None:
        """Close the connection after the read under way. Idempotent."""
        if not self._closed:
            self._closed = True
            await self._thread.run(self._disconnect)
            self._thread.end()

    def _read(self, work: Callable[[Connection], T]) -> T:
        connection = self._connection
        if connection is not None:
            try:
                return self._in_snapshot(connection, work)
            except psycopg.OperationalError:
                if not connection.raw.broken:
                    raise
        # The server was restarted since the last read, or during this one.
        return self._in_snapshot(self._reconnect(), work)

    def _in_snapshot(self, connection: PostgresConnection, work: Callable[[Connection], T]) -> T:
        try:
            connection.raw.execute(_SNAPSHOT)
            return work(connection)
        finally:
            if connection.raw.broken:
                self._disconnect()
            else:
                connection.raw.execute("ROLLBACK")

    def _reconnect(self) -> PostgresConnection:
        self._disconnect()
        self._connection = self._link()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.raw.close()
