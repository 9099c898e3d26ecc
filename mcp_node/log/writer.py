"""Group commit: one task commits all pending writes in one transaction.

An fsync costs far more than a row, so writes share one. While a commit runs, the next batch
accumulates; throughput grows with the number of writers, and no write waits for a timer.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from mcp_node.log.transaction import Committed, Operation, Outcome
from proto.errors import Overloaded, PartylineError, Unavailable
from proto.messages import Message

BATCH_OPERATIONS: Final = 512
BATCH_BYTES: Final = 8 * 1024 * 1024
"""Limits of one transaction. A single larger write gets a transaction of its own."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class _Pending(NamedTuple):
    operation: Operation[Any]
    answer: asyncio.Future[Any]


class Unsettled(Exception):
    """It is not known whether a batch was committed: the database does not answer any more."""


class Commits(Protocol):
    """The writable connection of an engine. Its methods are called one at a time."""

    async def open(self) -> None:
        """Connect.

        Raises:
            Exception: the engine's own error: the database cannot be opened.
        """

    async def commit(self, operations: Sequence[Operation[Any]]) -> Committed:
        """Run all operations in one transaction and commit it, connecting if necessary.

        Raises:
            Unsettled: it may have been committed.
            Exception: the engine's own error: nothing was committed. Call `recover`.
        """

    async def recover(self) -> None:
        """Replace the connection after a failed commit. If that fails, the next batch retries."""

    async def checkpoint(self) -> bool:
        """Remove what was erased from the engine's files; see `Database.checkpoint`."""

    async def close(self) -> None:
        """Close the connection. Idempotent."""


class Writer:
    """Queues writes and commits them in batches.

    Args:
        commits: the engine's writable connection.
        max_pending: limit on the number of pending writes.
        max_pending_bytes: limit on their total size.
        announce: called in the event loop with the messages of each commit, before its writes
            return.
    """

    def __init__(
        self,
        commits: Commits,
        *,
        max_pending: int,
        max_pending_bytes: int,
        announce: Callable[[Sequence[Message]], None],
    ) -> None:
        self._commits = commits
        self._max_pending = max_pending
        self._max_pending_bytes = max_pending_bytes
        self._announce = announce
        self._queue: deque[_Pending] = deque()
        self._pending = 0
        self._pending_bytes = 0
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
            Exception: the engine's own error: the database cannot be opened.
        """
        await self._commits.open()
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

    async def drain(self) -> None:
        """Refuse new writes and commit pending ones."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Drain, then close the connection."""
        await self.drain()
        await self._commits.close()

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
            committed = await self._commits.commit(operations)
        except Exception as error:
            logger.error("commit of %d writes failed: %s", len(batch), describe(error))
            await self._commits.recover()
            self._fail(batch, unsettled=isinstance(error, Unsettled))
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

    def _fail(self, batch: list[_Pending], *, unsettled: bool = False) -> None:
        for pending in batch:
            self._answer(pending, Outcome(error=_unknown() if unsettled else _unavailable()))

    def _settle(self, pending: _Pending) -> None:
        self._pending -= 1
        self._pending_bytes -= pending.operation.size


def describe(error: BaseException) -> str:
    """Name the kind of an error. Its text is left out because it may contain users' content."""
    name = getattr(error, "sqlite_errorname", None)
    return f"{type(error).__name__} {name}" if name else type(error).__name__


def _unavailable() -> Unavailable:
    return Unavailable("The message could not be stored; nothing was stored.")


def _unknown() -> Unavailable:
    return Unavailable(
        "The database did not answer: the message may or may not have been stored.",
        "Read the session before you add it again, or repeat the call with the same"
        " idempotency_key.",
    )
