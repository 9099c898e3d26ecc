"""A node's database, put together from an engine's parts: a writer, two readers, the mark."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mcp_node.log.erasing import Eraser
from mcp_node.log.following import Identity, LogFollower
from mcp_node.log.interface import CommitListener, Log, Start, Watch
from mcp_node.log.mark import MARK, Mark, MarkKeeper
from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Operation
from mcp_node.log.writer import Commits, Writer, describe
from proto.messages import Kind, Message
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
        identity: of the log, if several nodes may write to it.
    """

    def __init__(
        self,
        data_dir: Path,
        log: Log,
        commits: Commits,
        reader: Reader,
        long_reader: Reader,
        settings: Settings,
        *,
        identity: Identity | None = None,
    ) -> None:
        self._mark_path = data_dir / MARK
        self._log = log
        self._listeners: list[CommitListener] = []
        self._own_listeners: list[CommitListener] = []
        self._follower = (
            None if identity is None else LogFollower(self.read, log.head, identity, self._announce)
        )
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
            announce=self._committed,
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

    @property
    def shared(self) -> bool:
        """Whether other nodes may use the same log; see `Database.shared`."""
        return self._follower is not None

    def on_commit(self, listener: CommitListener) -> None:
        """Call ``listener`` after every commit of any node; see `Database.on_commit`."""
        self._listeners.append(listener)

    def on_own_commit(self, listener: CommitListener) -> None:
        """Call ``listener`` after every commit of this node; see `Database.on_own_commit`."""
        self._own_listeners.append(listener)

    def watch(self, watch: Watch[Any]) -> None:
        """Have ``watch`` look for changes of other nodes; see `Database.watch`."""
        if self._follower is not None:
            self._follower.watch(watch)

    def look(self) -> None:
        """Look for what other nodes committed; see `Database.look`."""
        if self._follower is not None:
            self._follower.look()

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
        if self._follower is not None:
            self._follower.start()

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
        if self._follower is not None:
            await self._follower.close()
        if self._eraser is not None:
            await self._eraser.close()
        try:
            await self._long_reader.close()
            await self._reader.close()
        finally:
            await self._writer.close()
            if self._mark is not None:
                await self._mark.close()

    def _committed(self, messages: Sequence[Message]) -> None:
        """A commit of this node's."""
        if self._eraser is not None and any(message.kind is Kind.DELETION for message in messages):
            self._eraser.request()
        _call(self._own_listeners, messages)
        if self._follower is None:
            self._announce(messages)
        else:
            self._follower.committed(messages)

    def _announce(self, messages: Sequence[Message]) -> None:
        """A commit of any node's; the next one in the log."""
        if self._mark is not None:
            self._mark.advance(messages[-1].id)
        _call(self._listeners, messages)


def _call(listeners: Sequence[CommitListener], messages: Sequence[Message]) -> None:
    for listener in listeners:
        try:
            listener(messages)
        except Exception as error:
            logger.error("a commit listener failed: %s", describe(error))
