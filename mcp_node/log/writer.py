"""Group commit: one task takes what is pending and commits it in one transaction.

While a commit is on its way the next batch gathers by itself, so throughput grows with the
number of writers and nobody ever waits for a timer.
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
"""The most that goes into one transaction (a single larger write goes alone)."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class _Pending(NamedTuple):
    operation: Operation[Any]
    answer: asyncio.Future[Any]


class Commits(Protocol):
    """The writable connection of an engine. One caller at a time."""

    async def open(self) -> None:
        """Connect.

        Raises:
            Exception: the engine's own error: the database cannot be opened.
        """

    async def commit(self, operations: Sequence[Operation[Any]]) -> Committed:
        """Run all operations in one transaction and commit it, connecting if need be.

        Raises:
            Unsettled: they may have been stored or not.
            Exception: the engine's own error: nothing was stored. `recover` comes next.
        """

    async def recover(self) -> None:
        """Start over after a commit that failed. It raises nothing."""

    async def close(self) -> None:
        """Close the connection. Idempotent."""


class Unsettled(Exception):
    """Nobody knows whether a batch was stored: the database does not answer any more."""


class Writer:
    """Queues writes, and commits them in batches.

    Args:
        commits: runs the transactions.
        max_pending: writes that may wait.
        max_pending_bytes: and their bytes.
        announce: called in the event loop after a commit, before its writers are answered.
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
        """Writes waiting for their commit, those under way included."""
        return self._pending

    async def open(self) -> None:
        """Connect and begin to work.

        Raises:
            Exception: the engine's own error: the database cannot be opened.
        """
        await self._commits.open()
        self._task = asyncio.create_task(self._run(), name="store writer")

    def submit(self, operation: Operation[T]) -> Awaitable[T]:
        """Queue a write; what is returned resolves once it is durable.

        Raises:
            Overloaded: too much is waiting.
            Unavailable: the store is closed.
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
        """Refuse new writes and commit what is pending."""
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
                await asyncio.sleep(0)  # who writes in this same turn of the loop shares the commit
                self._wake.clear()
                while batch := self._take():
                    await self._commit(batch)
        finally:
            self._closing = True
            while batch := self._take():
                self._fail(batch)

    def _take(self) -> list[_Pending]:
        """The next batch: within both bounds, without those whose caller has gone."""
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
        except asyncio.CancelledError:  # the loop is going down: it may still be committed
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
            logger.error("a write was refused: %s", describe(outcome.error))
            pending.answer.set_exception(_unavailable())

    def _fail(self, batch: list[_Pending], *, unsettled: bool = False) -> None:
        for pending in batch:
            self._answer(pending, Outcome(error=_unknown() if unsettled else _unavailable()))

    def _settle(self, pending: _Pending) -> None:
        self._pending -= 1
        self._pending_bytes -= pending.operation.size


def describe(error: BaseException) -> str:
    """An error by its kind: its text could hold what somebody wrote."""
    name = getattr(error, "sqlite_errorname", None)
    return f"{type(error).__name__} {name}" if name else type(error).__name__


def _unavailable() -> Unavailable:
    return Unavailable("The message could not be stored; nothing was stored.")


def _unknown() -> Unavailable:
    return Unavailable(
        "The database did not answer: the message may have been stored or not.",
        "Read the session before you say it again, or repeat the call with the same"
        " idempotency_key.",
    )
