"""The node's one internal queue: the bridge, /broadcast and history put, the dispatcher gets."""

import asyncio
from dataclasses import dataclass
from typing import Final

from proto.internal_api import LogStart
from proto.messages import Message
from proto.wire import Event
from ws_node.rooms.follower import RoomFollower

MAX_BYTES: Final = 64 * 1_048_576
"""Most bytes of bodies that may wait: with a limit on the count alone, large messages would fill
the memory."""

BATCH: Final = 1_000
"""Most items removed together, so that other work gets a turn before the next."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """What history answered about a session, for the follower that wanted it.

    A room may start over while an answer waits. The answer must not reach its next follower.
    """

    session_id: str
    follower: RoomFollower


@dataclass(frozen=True, slots=True)
class PositionFound(_Answered):
    """A session's last id and the log's, at the same moment; ``starts`` as in `SessionHead`."""

    epoch: str
    head: int
    log_head: int
    starts: list[LogStart]


@dataclass(frozen=True, slots=True)
class PageFound(_Answered):
    """Messages that a room missed."""

    epoch: str
    messages: list[Message]
    through: int
    head: int


@dataclass(frozen=True, slots=True)
class HeadSeen(_Answered):
    """A session is known to reach ``head``."""

    epoch: str
    head: int


@dataclass(frozen=True, slots=True)
class FetchFailed(_Answered):
    """History did not answer; it may be asked again."""


Answer = PositionFound | PageFound | HeadSeen | FetchFailed
Item = Event | Answer


class EventQueue:
    """A bounded queue with many writers and one reader, all in one event loop.

    A quarter of the capacity, in events and in bytes, is reserved for durable events. History's
    answers always fit: at most two are under way for each room.

    Args:
        max_events: events that may wait, at least 4.
    """

    def __init__(self, max_events: int) -> None:
        self._max_events = max_events
        self._max_external = max_events - max_events // 4
        self._items: list[Item] = []
        self._events = 0
        self._bytes = 0
        self._reader: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._items)

    def put(self, event: Event) -> bool:
        """Add an event; False if the queue is full for events of its kind."""
        most, most_bytes = self._max_events, MAX_BYTES
        if event.id is None:
            most, most_bytes = self._max_external, MAX_BYTES - MAX_BYTES // 4
        size = len(event.body)
        if self._events >= most or (self._events and self._bytes + size > most_bytes):
            return False
        self._events += 1
        self._bytes += size
        self._add(event)
        return True

    def put_answer(self, answer: Answer) -> None:
        """Add an answer of history."""
        self._add(answer)

    async def get(self) -> list[Item]:
        """Remove and return up to `BATCH` items, in order; waits for the first. One reader only.

        Cancelling it removes nothing.
        """
        while not self._items:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self.get_nowait()

    def get_nowait(self) -> list[Item]:
        """Remove and return up to `BATCH` items, in order; none if none wait."""
        if len(self._items) <= BATCH:
            items, self._items = self._items, []
            self._events = 0
            self._bytes = 0
            return items
        items = self._items[:BATCH]
        del self._items[:BATCH]
        for item in items:
            if isinstance(item, Event):
                self._events -= 1
                self._bytes -= len(item.body)
        return items

    def _add(self, item: Item) -> None:
        self._items.append(item)
        if self._reader is not None:
            if not self._reader.done():
                self._reader.set_result(None)
            self._reader = None
