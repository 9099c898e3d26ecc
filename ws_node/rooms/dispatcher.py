"""The dispatcher: the one task that takes events and answers from the queue to their rooms.

For each room it advances the session's follower and passes what may be delivered to the fan-out. A
room that waits for a gap to be filled holds back its own messages only.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from proto.wire import Event, message_event
from ws_node.rooms.event_queue import Answer, EventQueue, HeadSeen, Item, PageFound, PositionFound
from ws_node.rooms.hub import Hub
from ws_node.rooms.outgoing import Outgoing
from ws_node.rooms.room import Room

CLOCK_SECONDS: Final = 1.0
"""How much the clocks of machines may differ, and a commit may follow its message's time."""

logger = logging.getLogger(__name__)


class Dispatcher:
    """Moves the hub's rooms; nothing else advances a follower.

    Args:
        hub: has the rooms and the fan-out.
        queue: what to dispatch. The dispatcher is its only reader.
        on_want: called with a room whenever its follower may want something from history.
        on_foreign: called when an event of another epoch arrived.

    Attributes:
        ephemeral: events without a position that were delivered to a room.
    """

    def __init__(
        self,
        hub: Hub,
        queue: EventQueue,
        *,
        on_want: Callable[[Room], None],
        on_foreign: Callable[[], None],
    ) -> None:
        self.ephemeral = 0
        self._hub = hub
        self._queue = queue
        self._on_want = on_want
        self._on_foreign = on_foreign

    async def run(self) -> None:
        """Dispatch what the queue holds and write to viewers, in turns, until cancelled.

        The queue is read between the turns of the fan-out, so that events of a busy room wait in
        that room and delay no other. When too much waits there, the queue is left to fill; what it
        refuses is read from the log later.
        """
        fan_out, queue = self._hub.fan_out, self._queue
        while True:
            if not fan_out.busy:
                self._dispatch(await queue.get())
            elif not fan_out.full:
                self._dispatch(queue.get_nowait())
            fan_out.turn()
            if fan_out.busy or len(queue):
                await asyncio.sleep(0)

    def _dispatch(self, items: list[Item]) -> None:
        by_room: dict[str, list[Item]] = {}
        for item in items:
            by_room.setdefault(item.session_id, []).append(item)
        self._hub.learn_items(items)
        for session_id, of_one in by_room.items():
            room = self._hub.rooms.get(session_id)
            if room is None:
                continue
            try:
                self._advance(room, of_one)
            except Exception:
                logger.exception("a room failed; its viewers are disconnected and may reconnect")
                self._hub.abandon(room)

    def _advance(self, room: Room, items: list[Item]) -> None:
        """Advance a room by what arrived for it, and pass on what may be delivered."""
        outgoing: list[Outgoing] = []
        durable: list[Event] = []
        for item in items:
            if isinstance(item, Event):
                if item.id is not None:
                    durable.append(item)  # those in a row are fed at once
                    continue
                self.ephemeral += 1
            if durable:
                outgoing += room.deliver(room.follower.feed(durable))
                durable = []
            if isinstance(item, Event):
                outgoing.append(room.frame(item))
            else:
                outgoing += self._answered(room, item)
        if durable:
            outgoing += room.deliver(room.follower.feed(durable))
        follower = room.follower
        if follower.foreign:
            follower.foreign = 0
            self._on_foreign()
        if follower.last is None or follower.target > follower.last:
            self._on_want(room)
        if not follower.behind:
            room.behind_since = None
        elif room.behind_since is None:
            room.behind_since = time.time()
        if outgoing:
            self._hub.fan_out.add(room, outgoing)

    def _answered(self, room: Room, answer: Answer) -> list[Outgoing]:
        """Give a room's follower an answer of history; what of it is to be delivered."""
        follower = room.follower
        if answer.follower is not follower:
            return []
        if isinstance(answer, PositionFound):
            if answer.epoch != self._hub.epoch:
                follower.failed()
                return []
            room.learn_head(answer.head, answer.log_head)
            base = self._promised(room, answer)
            events = follower.positioned(answer.epoch, answer.head, base)
            room.open_ring()
            return room.deliver(events)
        if isinstance(answer, PageFound):
            events = [message_event(message, answer.epoch) for message in answer.messages]
            through, head = answer.through, answer.head
            return room.deliver(follower.page(answer.epoch, events, through=through, head=head))
        if isinstance(answer, HeadSeen):
            follower.seen_head(answer.epoch, answer.head)
        else:
            follower.failed()
        return []

    def _promised(self, room: Room, answer: PositionFound) -> int | None:
        """Where following begins if viewers joined before the position was known, else None.

        Such viewers were promised everything committed after they joined, so following begins
        below the head, at the position where they joined.
        """
        promise, room.promise = room.promise, None
        if promise is None:
            return None
        if promise.epoch == answer.epoch:
            return promise.position
        if promise.epoch is None and promise.refused_at is not None:
            # mcp_node had never answered, but at `refused_at` it did not run, so it committed
            # nothing then. What it committed later has an id above the head of the next start;
            # with no start since, above the head of now.
            later = [start for start in answer.starts if start.at > promise.refused_at]
            if not later:
                return answer.head
            quiet_since = later[0].quiet_since
            if not quiet_since or quiet_since < promise.refused_at - CLOCK_SECONDS:
                return later[0].head
        # The promise was made for another log, for a log whose start is not known, or another
        # mcp_node committed meanwhile. It cannot be kept. A viewer that reconnects gets a position
        # to continue from.
        self._hub.break_promise(room)
        return None
