"""The database: one writer, two readers (one for long reads), and the mark."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import aiosqlite

from mcp_node.log.connection import connect_reader, run_job
from mcp_node.log.erasing import Eraser
from mcp_node.log.interface import CommitListener, Start
from mcp_node.log.mark import Mark, MarkKeeper, read_mark
from mcp_node.log.migrations import Schema
from mcp_node.log.schema import DATABASE, Log, prepare
from mcp_node.log.transaction import Companion, Operation
from mcp_node.log.writer import Writer, describe
from proto.errors import ConfigurationError, Unavailable
from proto.messages import Message
from proto.settings import Settings

MARK: Final = "log.mark"

T = TypeVar("T")

logger = logging.getLogger(__name__)


async def open_database(
    data_dir: Path,
    schema: Schema,
    make_companions: Callable[[], Sequence[Companion]],
    settings: Settings,
) -> "SqliteDatabase":
    """Open the database in a data directory, creating it if there is none.

    The caller holds the directory's lock file, and must call `SqliteDatabase.close`: a connection
    left open keeps the interpreter from exiting.

    Args:
        data_dir: the directory.
        schema: the tables.
        make_companions: called in a thread once the tables exist.
        settings: limits on pending writes.

    Raises:
        ConfigurationError: the database cannot be used; the text says why.
    """
    path = data_dir / DATABASE
    on_disk = read_mark(data_dir / MARK)
    log = await asyncio.to_thread(prepare, path, schema, on_disk)
    companions = await asyncio.to_thread(make_companions)
    writer = partial(
        Writer,
        path,
        max_pending=settings.max_pending_writes,
        max_pending_bytes=settings.max_pending_write_bytes,
        add_functions=schema.add_functions,
        companions=companions,
    )
    database = SqliteDatabase(path, log, writer)
    try:
        await database.open(on_disk)
    except BaseException as error:
        await database.close()
        if isinstance(error, sqlite3.Error):
            raise ConfigurationError(
                f"database {path} cannot be opened ({describe(error)}); check the disk"
            ) from None
        raise
    return database


class SqliteDatabase:
    """`mcp_node.log.interface.Database` on SQLite; created by `open_database`.

    Args:
        path: the database file, after `mcp_node.log.schema.prepare`.
        log: the log in it.
        make_writer: makes the writer, given ``announce``.
    """

    def __init__(self, path: Path, log: Log, make_writer: Callable[..., Writer]) -> None:
        self._path = path
        self._log = log
        self._listeners: list[CommitListener] = []
        self._reader: aiosqlite.Connection | None = None
        self._long_reader: aiosqlite.Connection | None = None
        self._mark: MarkKeeper | None = None
        self._eraser: Eraser | None = None
        self._closing: asyncio.Task[None] | None = None
        self._writer = make_writer(announce=self._announce)

    @property
    def epoch(self) -> str:
        """Random id of this log; see `Database.epoch`."""
        return self._log.epoch

    @property
    def starts(self) -> list[Start]:
        """The latest openings of the database; see `Database.starts`."""
        return self._log.starts

    @property
    def pending(self) -> int:
        """Number of writes that are not committed yet; see `Database.pending`."""
        return self._writer.pending

    def on_commit(self, listener: CommitListener) -> None:
        """Call ``listener`` after every commit; see `Database.on_commit`."""
        self._listeners.append(listener)

    async def open(self, on_disk: Mark | None) -> None:
        """Open the connections; ``on_disk`` is the mark in its file.

        Raises:
            sqlite3.Error: the database cannot be opened.
        """
        await self._writer.open()
        self._reader = await connect_reader(self._path)
        self._long_reader = await connect_reader(self._path)
        current = Mark(self._log.epoch, self._log.head)
        self._mark = MarkKeeper(self._path.with_name(MARK), on_disk, current)
        self._eraser = Eraser(self._writer.checkpoint)

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation in the writer's next transaction; see `Database.write`."""
        return await self._writer.submit(operation)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read in one snapshot of the database; see `Database.read`."""
        return await self._read(self._reader, work)

    async def read_long(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a long read; see `Database.read_long`."""
        return await self._read(self._long_reader, work)

    async def checkpoint(self) -> bool:
        """Truncate the write-ahead log; see `Database.checkpoint`."""
        emptied = await self._writer.checkpoint()
        if not emptied and self._eraser is not None:
            self._eraser.request()
        return emptied

    async def close(self) -> None:
        """Commit pending writes, then close the database. Idempotent."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="database close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        # The readers close before the writer's connection: the last one to close removes the WAL,
        # which a read-only connection cannot.
        await self._writer.drain()
        if self._eraser is not None:
            await self._eraser.close()
        readers = [self._long_reader, self._reader]
        self._long_reader = self._reader = None
        try:
            for reader in readers:
                if reader is not None:
                    await reader.close()
        finally:
            await self._writer.close()
            if self._mark is not None:
                await self._mark.close()

    async def _read(
        self, reader: aiosqlite.Connection | None, work: Callable[[sqlite3.Connection], T]
    ) -> T:
        if reader is None:
            raise Unavailable("The message log is closed.")
        try:
            return await run_job(reader, partial(_in_snapshot, work))
        except (sqlite3.Error, ValueError) as error:
            logger.error("a read failed: %s", describe(error))
            raise Unavailable("The message log cannot be read.") from None

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


def _in_snapshot(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        connection.execute("ROLLBACK")
