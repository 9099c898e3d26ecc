"""The node's one internal queue: the bridge and /broadcast put in, the hub takes it out."""

import asyncio
from dataclasses import dataclass
from typing import Final

from proto.messages import Message
from proto.wire import Event
from ws_node.rooms.follower import RoomFollower

MAX_BYTES: Final = 64 * 1_048_576
"""Bytes of bodies that may wait; as a count alone, large messages would fill the memory."""

TAKEN_AT_ONCE: Final = 1_000
"""Most items taken together, so that other work gets a turn before the next."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """What history told about a session, to the follower that was there when it was asked.

    A room may start over while an answer waits: it must not reach the room's next follower.
    """

    session_id: str
    follower: RoomFollower


@dataclass(frozen=True, slots=True)
class PositionFound(_Answered):
    """Where a session stands, and the log at that moment."""

    epoch: str
    head: int
    log_head: int
    starts: list[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class PageFound(_Answered):
    """What a session missed."""

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
    """Bounded, many putters, one taker, all in one event loop.

    A quarter of the room, in events and in bytes, is kept for durable events. History's answers
    always fit: there are at most two under way for each room.

    Args:
        max_events: events that may wait, at least 4.
    """

    def __init__(self, max_events: int) -> None:
        self._max_events = max_events
        self._max_external = max_events - max_events // 4
        self._items: list[Item] = []
        self._events = 0
        self._bytes = 0
        self._taker: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._items)

    def put(self, event: Event) -> bool:
        """Add an event; False if there is no room for one of its kind."""
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
        """Add what history answered."""
        self._add(answer)

    async def take(self) -> list[Item]:
        """What waits, in order, `TAKEN_AT_ONCE` at most; waits for something. One taker only."""
        while not self._items:
            self._taker = asyncio.get_running_loop().create_future()
            await self._taker
        return self.take_now()

    def take_now(self) -> list[Item]:
        """What waits now, `TAKEN_AT_ONCE` at most."""
        if len(self._items) <= TAKEN_AT_ONCE:
            items, self._items = self._items, []
            self._events = 0
            self._bytes = 0
            return items
        items = self._items[:TAKEN_AT_ONCE]
        del self._items[:TAKEN_AT_ONCE]
        for item in items:
            if isinstance(item, Event):
                self._events -= 1
                self._bytes -= len(item.body)
        return items

    def _add(self, item: Item) -> None:
        self._items.append(item)
        if self._taker is not None:
            if not self._taker.done():
                self._taker.set_result(None)
            self._taker = None
