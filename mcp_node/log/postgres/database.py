"""The database on PostgreSQL: one connection that writes, two that read, and the mark."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import psycopg
from psycopg import sql

from mcp_node.log.erasing import Eraser
from mcp_node.log.interface import CommitListener, Start
from mcp_node.log.mark import MARK, Mark, MarkKeeper, read_mark
from mcp_node.log.migrations import Step
from mcp_node.log.postgres.commits import (
    FROZEN,
    LOCK_WAIT,
    AnotherWriter,
    Batches,
    PostgresCommits,
    after_the_other_writer,
    become_writer,
)
from mcp_node.log.postgres.connection import PostgresConnection, Thread, connect
from mcp_node.log.postgres.schema import Log, complaint, lock_number, prepare
from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Companion, Operation
from mcp_node.log.writer import Writer, describe
from proto.errors import ConfigurationError, Unavailable
from proto.messages import Message
from proto.settings import Settings

T = TypeVar("T")

READ_SECONDS: Final = "30s"
"""A read that takes longer is cancelled by the server."""

_IN_USE: Final = "PARTYLINE_STORE is in use by another mcp_node; stop that one first"
_TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

logger = logging.getLogger(__name__)


async def open_database(
    data_dir: Path,
    versions: Sequence[Sequence[Step]],
    make_companions: Callable[[], Sequence[Companion]],
    settings: Settings,
) -> "PostgresDatabase":
    """Open the log in the database that PARTYLINE_STORE names, making it if there is none.

    Args:
        data_dir: of this node: its mark is kept there.
        versions: the steps of each schema version.
        make_companions: called in a thread once the tables are there.
        settings: of the node.

    Raises:
        ConfigurationError: the database cannot be used; the text tells the operator why, and
            nothing of the address.
    """
    assert settings.store is not None
    address, schema = settings.store.get_secret_value(), settings.store_schema
    on_disk = read_mark(data_dir / MARK)
    link = partial(connect, address, schema)

    def prepared() -> tuple[Log, Sequence[Companion]]:
        connection = link()
        try:
            # A newer node that waits must not migrate the tables of the one that still writes.
            become_writer(connection, lock_number(schema))
            log = prepare(connection, schema, versions, on_disk)
        finally:
            connection.raw.close()
        return log, make_companions()

    try:
        log, companions = await after_the_other_writer(lambda: asyncio.to_thread(prepared))
    except AnotherWriter:
        raise ConfigurationError(_IN_USE) from None
    except psycopg.Error as error:
        raise ConfigurationError(complaint(error)) from None
    writing = partial(
        link,
        lock_timeout=LOCK_WAIT,
        idle_in_transaction_session_timeout=FROZEN,
        synchronous_commit="on",
        tcp_keepalives_idle="5",
        tcp_keepalives_interval="2",
        tcp_keepalives_count="3",
    )
    node = secrets.token_hex(8)
    commits = PostgresCommits(Batches(writing, lock_number(schema), node, companions, log.head))
    database = PostgresDatabase(
        data_dir, log, commits, partial(link, statement_timeout=READ_SECONDS), settings
    )
    try:
        await database.open(on_disk)
    except BaseException as error:
        await database.close()
        if isinstance(error, AnotherWriter):
            raise ConfigurationError(_IN_USE) from None
        if isinstance(error, psycopg.Error):
            raise ConfigurationError(complaint(error)) from None
        raise
    return database


class Reader:
    """A connection for reads, made anew when it was lost.

    Args:
        link: gives a connection.
        name: of its thread.
    """

    def __init__(self, link: Callable[[], PostgresConnection], name: str) -> None:
        self._link = link
        self._thread = Thread(name)
        self._connection: PostgresConnection | None = None
        self._closed = False

    async def open(self) -> None:
        """Connect.

        Raises:
            psycopg.Error: the database cannot be reached.
        """
        await self._thread.run(self._reconnect)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one snapshot.

        Raises:
            Unavailable: the database failed, or the reader is closed.
        """
        if self._closed:
            raise Unavailable("The message log is closed.")
        try:
            return await self._thread.run(partial(self._read, work))
        except psycopg.Error as error:
            logger.error("a read failed: %s", describe(error))
            raise Unavailable("The message log cannot be read.") from None

    async def close(self) -> None:
        """Close the connection after the read under way. Idempotent."""
        if not self._closed:
            self._closed = True
            await self._thread.run(self._disconnect)
            self._thread.end()

    def _read(self, work: Callable[[Connection], T]) -> T:
        connection = self._connection or self._reconnect()
        try:
            connection.raw.execute(_SNAPSHOT)
        except psycopg.OperationalError:  # lost since the last read: the server was restarted
            connection = self._reconnect()
            connection.raw.execute(_SNAPSHOT)
        try:
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


class PostgresDatabase:
    """`mcp_node.log.interface.Database` on PostgreSQL; made by `open_database`.

    Args:
        data_dir: of this node.
        log: what the tables hold.
        commits: the writing connection.
        link: gives a connection for reads.
        settings: of the node.
    """

    def __init__(
        self,
        data_dir: Path,
        log: Log,
        commits: PostgresCommits,
        link: Callable[[], PostgresConnection],
        settings: Settings,
    ) -> None:
        self._data_dir = data_dir
        self._log = log
        self._listeners: list[CommitListener] = []
        self._reader = Reader(link, "reader")
        self._long_reader = Reader(link, "long reads")
        self._link = link
        self._mark: MarkKeeper | None = None
        self._eraser: Eraser | None = None
        self._closing: asyncio.Task[None] | None = None
        self._commits = commits
        self._writer = Writer(
            commits,
            max_pending=settings.max_pending_writes,
            max_pending_bytes=settings.max_pending_write_bytes,
            announce=self._announce,
        )

    @property
    def epoch(self) -> str:
        """Random id of this log; a replaced log has another."""
        return self._log.epoch

    @property
    def starts(self) -> list[Start]:
        """The latest openings of the log, oldest first; see `Database.starts`."""
        return self._log.starts

    @property
    def pending(self) -> int:
        """Writes waiting for their commit, those under way included."""
        return self._writer.pending

    def on_commit(self, listener: CommitListener) -> None:
        """Have ``listener`` called with the messages of every commit from now on."""
        self._listeners.append(listener)

    async def open(self, on_disk: Mark | None) -> None:
        """Connect; ``on_disk`` is the mark as it was found.

        Raises:
            psycopg.Error: the database cannot be reached.
        """
        await self._writer.open()
        await self._reader.open()
        await self._long_reader.open()
        current = Mark(self._log.epoch, self._log.head)
        self._mark = MarkKeeper(self._data_dir / MARK, on_disk, current)
        self._eraser = Eraser(self.checkpoint)

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation in the writer's next transaction; see `Database.write`."""
        return await self._writer.submit(operation)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a read in one snapshot of the database; see `Database.read`."""
        return await self._reader.read(work)

    async def read_long(self, work: Callable[[Connection], T]) -> T:
        """Run a read that may take long; see `Database.read_long`."""
        return await self._long_reader.read(work)

    async def checkpoint(self) -> bool:
        """Have the server give up the space of what was deleted; see `Database.checkpoint`."""
        try:
            await asyncio.to_thread(self._vacuum)
        except psycopg.Error as error:
            logger.error("deleted messages cannot be vacuumed: %s", describe(error))
            raise Unavailable("The message log cannot be written.") from None
        return True

    async def close(self) -> None:
        """Commit what is pending, then close the connections. Idempotent."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="database close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._writer.drain()
        if self._eraser is not None:
            await self._eraser.close()
        try:
            await self._long_reader.close()
            await self._reader.close()
        finally:
            await self._writer.close()
            if self._mark is not None:
                await self._mark.close()

    def _vacuum(self) -> None:
        connection = self._link()
        try:
            connection.raw.execute("SET statement_timeout = 0")
            # The index of search, mentions and keys had something of the message as well.
            tables = [sql.Identifier(name) for (name,) in connection.raw.execute(_TABLES)]
            connection.raw.execute(sql.SQL("VACUUM {}").format(sql.SQL(", ").join(tables)))
        finally:
            connection.raw.close()

    def _announce(self, messages: Sequence[Message]) -> None:
        if self._mark is not None:
            self._mark.advance(messages[-1].id)
        if self._eraser is not None and any(message.deletes for message in messages):
            self._eraser.request()
        for listener in self._listeners:
            try:
                listener(messages)
            except Exception as error:
                logger.error("a commit listener failed: %s", describe(error))
