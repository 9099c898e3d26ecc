"""A node's database, put together from an engine's parts: a writer, two readers, the mark."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from mcp_node.log.erasing import Eraser
from mcp_node.log.interface import CommitListener, Log, Start
from mcp_node.log.mark import MARK, Mark, MarkKeeper
from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Operation
from mcp_node.log.writer import Commits, Writer, describe
from proto.messages import Message
from proto.settings import Settings

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Reader(Protocol):
    """An engine's connection for reads. Its reads wait for each other."""

    async def open(self) -> None:
        """Connect.

        Raises:
            Exception: the engine's own error: the database cannot be opened.
        """

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one snapshot; see `Database.read`."""

    async def close(self) -> None:
        """Close the connection after the read in progress. Idempotent."""


class LogDatabase:
    """`mcp_node.log.interface.Database`, on either engine.

    Args:
        data_dir: of the node, for the mark.
        log: the log, as it was when it was opened.
        commits: the writable connection.
        reader, long_reader: the connections for reads.
        settings: limits on pending writes.
    """

    def __init__(
        self,
        data_dir: Path,
        log: Log,
        commits: Commits,
        reader: Reader,
        long_reader: Reader,
        settings: Settings,
    ) -> None:
        self._mark_path = data_dir / MARK
        self._log = log
        self._listeners: list[CommitListener] = []
        self._commits = commits
        self._reader = reader
        self._long_reader = long_reader
        self._mark: MarkKeeper | None = None
        self._eraser: Eraser | None = None
        self._closing: asyncio.Task[None] | None = None
        self._writer = Writer(
            commits,
            max_pending=settings.max_pending_writes,
            max_pending_bytes=settings.max_pending_write_bytes,
            announce=self._announce,
        )

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
            Exception: the engine's own error: the database cannot be opened. `close` it.
        """
        await self._writer.open()
        await self._reader.open()
        await self._long_reader.open()
        self._mark = MarkKeeper(self._mark_path, on_disk, Mark(self._log.epoch, self._log.head))
        self._eraser = Eraser(self._commits.checkpoint)

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation in the writer's next transaction; see `Database.write`."""
        return await self._writer.submit(operation)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a read in one snapshot of the database; see `Database.read`."""
        return await self._reader.read(work)

    async def read_long(self, work: Callable[[Connection], T]) -> T:
        """Run a long read; see `Database.read_long`."""
        return await self._long_reader.read(work)

    async def checkpoint(self) -> bool:
        """Remove what was erased from the engine's files; see `Database.checkpoint`."""
        done = await self._commits.checkpoint()
        if not done and self._eraser is not None:
            self._eraser.request()
        return done

    async def close(self) -> None:
        """Commit pending writes, then close the database. Idempotent."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="database close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        # The readers close before the writer's connection: the last one to close removes SQLite's
        # WAL, which a read-only connection cannot.
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
