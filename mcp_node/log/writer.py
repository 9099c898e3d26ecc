"""Group commit: one task commits all pending writes in one transaction.

An fsync costs far more than a row, so writes share one. While a commit runs, the next batch
accumulates; throughput grows with the number of writers, and no write waits for a timer.
"""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import aiosqlite

from mcp_node.log.connection import BUSY_MS, AddFunctions, connect_writer, run_job
from mcp_node.log.tail import LogTail
from mcp_node.log.transaction import Companion, Operation, Outcome, commit
from proto.errors import Overloaded, PartylineError, Unavailable
from proto.messages import Message, utc_now

BATCH_OPERATIONS: Final = 512
BATCH_BYTES: Final = 8 * 1024 * 1024
"""Limits of one transaction. A single larger write gets a transaction of its own."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class _Pending(NamedTuple):
    operation: Operation[Any]
    answer: asyncio.Future[Any]


class Writer:
    """Owns the writable connection.

    Args:
        path: the database file, after `mcp_node.log.schema.prepare`.
        max_pending: limit on the number of pending writes.
        max_pending_bytes: limit on their total size.
        add_functions: registers the SQL functions that triggers call on a connection.
        companions: what features keep in step with the log.
        announce: called in the event loop with the messages of each commit, before its writes
            return.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_pending: int,
        max_pending_bytes: int,
        add_functions: AddFunctions,
        companions: Sequence[Companion],
        announce: Callable[[Sequence[Message]], None],
    ) -> None:
        self._path = path
        self._max_pending = max_pending
        self._max_pending_bytes = max_pending_bytes
        self._announce = announce
        self._queue: deque[_Pending] = deque()
        self._pending = 0
        self._pending_bytes = 0
        self._tail = LogTail()
        self._add_functions = add_functions
        self._companions = companions
        self._connection: aiosqlite.Connection | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """Number of writes that are not committed yet, including those in progress."""
        return self._pending

    async def open(self) -> None:
        """Connect and start committing.

        Raises:
            sqlite3.Error: the database cannot be opened.
        """
        self._connection = await connect_writer(self._path, self._add_functions)
        self._task = asyncio.create_task(self._run(), name="store writer")

    def submit(self, operation: Operation[T]) -> Awaitable[T]:
        """Queue a write. The result resolves when it is durable; see `Database.write`.

        Raises:
            Overloaded: too many writes, or too many bytes, are pending.
            Unavailable: the writer is closed.
        """
        if self._closing:
            raise Unavailable("The message log is closed.")
        if (
            self._pending >= self._max_pending
            or self._pending_bytes + operation.size > self._max_pending_bytes
        ):
            raise Overloaded("Too many messages are waiting to be stored.")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append(_Pending(operation, answer))
        self._pending += 1
        self._pending_bytes += operation.size
        self._wake.set()
        return answer

    async def checkpoint(self) -> bool:
        """Truncate the write-ahead log between two commits; see `Database.checkpoint`."""
        if self._connection is None:
            raise Unavailable("The message log is closed.")
        try:
            return await run_job(self._connection, _checkpoint)
        except (sqlite3.Error, ValueError) as error:
            logger.error("the write-ahead log cannot be truncated: %s", describe(error))
            raise Unavailable("The message log cannot be written.") from None

    async def drain(self) -> None:
        """Refuse new writes and commit pending ones."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Drain, then close the connection."""
        await self.drain()
        await self._disconnect()

    async def _run(self) -> None:
        try:
            while not (self._closing and not self._queue):
                await self._wake.wait()
                # One turn of the event loop, so that writes submitted in this turn share the
                # commit. Without it the first of them would be committed alone.
                await asyncio.sleep(0)
                self._wake.clear()
                while batch := self._next_batch():
                    await self._commit(batch)
        finally:
            self._closing = True
            while batch := self._next_batch():
                self._fail(batch)

    def _next_batch(self) -> list[_Pending]:
        """Remove the next batch from the queue, skipping writes whose caller was cancelled."""
        batch: list[_Pending] = []
        size = 0
        while self._queue and len(batch) < BATCH_OPERATIONS:
            following = self._queue[0]
            if batch and size + following.operation.size > BATCH_BYTES:
                break
            self._queue.popleft()
            if following.answer.done():
                self._settle(following)
                continue
            size += following.operation.size
            batch.append(following)
        return batch

    async def _commit(self, batch: list[_Pending]) -> None:
        operations = [pending.operation for pending in batch]
        try:
            if self._connection is None:
                self._connection = await connect_writer(self._path, self._add_functions)
            committed = await run_job(
                self._connection,
                lambda connection: commit(connection, self._tail, self._companions, operations),
            )
        except Exception as error:
            logger.error("commit of %d writes failed: %s", len(batch), describe(error))
            await self._reconnect()
            self._fail(batch)
            return
        except asyncio.CancelledError:
            # The event loop is stopping; the job may still commit in its thread, so the callers
            # are cancelled rather than told that nothing was stored.
            for pending in batch:
                self._settle(pending)
                pending.answer.cancel()
            raise
        if committed.messages:
            self._announce(committed.messages)
        for pending, outcome in zip(batch, committed.outcomes, strict=True):
            self._answer(pending, outcome)

    async def _reconnect(self) -> None:
        """Replace the connection after a failed commit. If that fails, the next batch retries."""
        await self._disconnect()
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

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close()
            except Exception as error:
                logger.error("closing the database failed: %s", describe(error))

    def _answer(self, pending: _Pending, outcome: Outcome) -> None:
        self._settle(pending)
        if pending.answer.done():
            return
        if outcome.error is None:
            pending.answer.set_result(outcome.result)
        elif isinstance(outcome.error, PartylineError):
            pending.answer.set_exception(outcome.error)
        else:
            logger.error("a write failed: %s", describe(outcome.error))
            pending.answer.set_exception(_unavailable())

    def _fail(self, batch: list[_Pending]) -> None:
        for pending in batch:
            self._answer(pending, Outcome(error=_unavailable()))

    def _settle(self, pending: _Pending) -> None:
        self._pending -= 1
        self._pending_bytes -= pending.operation.size


def describe(error: BaseException) -> str:
    """Name the kind of an error. Its text is left out because it may contain users' content."""
    name = getattr(error, "sqlite_errorname", None)
    return f"{type(error).__name__} {name}" if name else type(error).__name__


def _checkpoint(connection: sqlite3.Connection) -> bool:
    # Do not wait for readers: this is the writer's thread, so every write would wait too.
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return not busy


def _unavailable() -> Unavailable:
    return Unavailable("The message could not be stored; nothing was stored.")
