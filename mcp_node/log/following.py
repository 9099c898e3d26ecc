"""Follows a log that several nodes write to, and announces what all of them commit, in order.

A node knows its own commits at once. Those of others it reads from the log: when something tells
of one (`LogFollower.look`), when an own commit shows that others came between, and every second in
any case. So a hint that is lost costs a second, and nothing else.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from mcp_node.log.interface import Watch
from mcp_node.log.messages import COLUMNS, HEAD, message_from_row, with_texts
from mcp_node.log.sql import Connection
from proto.errors import PartylineError
from proto.messages import Message

T = TypeVar("T")

POLL_SECONDS: Final = 1.0
"""Longest pause between two looks."""

PAGE: Final = 500
"""Most messages read at once."""

_EPOCH: Final = "SELECT value FROM meta WHERE name = 'epoch'"
_AFTER: Final = f"SELECT {COLUMNS} FROM messages WHERE id > ? ORDER BY id LIMIT {PAGE}"

logger = logging.getLogger(__name__)


class Identity(Protocol):
    """Which log the node serves."""

    def saw(self, head: int) -> None:
        """Note that an id was committed."""

    def compare(self, epoch: Any, head: int, known: int) -> None:
        """Compare a snapshot with what the node knew before it; raise if it is another log."""


class _Look(NamedTuple):
    messages: list[Message]
    found: list[Any]


class LogFollower:
    """Announces the commits of all nodes, ascending by id. Used in the event loop.

    Args:
        read: runs a read in one snapshot of the database.
        head: the last id that was committed before anything is to be announced.
        identity: of the log.
        announce: called with messages that follow those announced before.
    """

    def __init__(
        self,
        read: Callable[[Callable[[Connection], _Look]], Awaitable[_Look]],
        head: int,
        identity: Identity,
        announce: Callable[[Sequence[Message]], None],
    ) -> None:
        self._read = read
        self._announced = head
        self._identity = identity
        self._announce = announce
        self._watches: list[Watch[Any]] = []
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def watch(self, watch: Watch[Any]) -> None:
        """Have ``watch`` look as well."""
        self._watches.append(watch)

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="log follower")

    def look(self) -> None:
        """Look now, or again if a look is under way."""
        self._due.set()

    def committed(self, messages: Sequence[Message]) -> None:
        """Take this node's own commit: announce it, or read first what others committed before."""
        if messages[0].id == self._announced + 1:
            self._pass_on(messages)
        else:
            self.look()

    async def close(self) -> None:
        """Stop. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS * random.uniform(0.7, 1.0)):
                    await self._due.wait()
            self._due.clear()
            try:
                while await self._look():
                    pass
            except PartylineError:  # the database is away, which its reader has logged
                await asyncio.sleep(POLL_SECONDS * random.uniform(0.2, 0.5))

    async def _look(self) -> bool:
        """Look once; returns whether there may be more."""
        known, watches = self._announced, list(self._watches)

        def work(connection: Connection) -> _Look:
            (epoch,) = connection.execute(_EPOCH).fetchone()
            (head,) = connection.execute(HEAD).fetchone()
            self._identity.compare(epoch, head, known)
            rows = connection.execute(_AFTER, (known,)).fetchall() if head > known else []
            return _Look(
                with_texts(connection, [message_from_row(row) for row in rows]),
                [watch.read(connection) for watch in watches],
            )

        look = await self._read(work)
        self._pass_on(look.messages)
        for watch, found in zip(watches, look.found, strict=True):
            try:
                watch.apply(found)
            except Exception:
                logger.exception("a watch of the log failed")
        return len(look.messages) == PAGE

    def _pass_on(self, messages: Sequence[Message]) -> None:
        """Announce those that were not announced while they were read."""
        fresh = [message for message in messages if message.id > self._announced]
        if fresh:
            self._announced = fresh[-1].id
            self._identity.saw(self._announced)
            self._announce(fresh)
