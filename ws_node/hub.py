"""The hub: rooms, and the fan-out of everything that comes out of the queue.

One task drains the queue. For each room it moves the session's chain (`proto.follower`), frames
what may go once, joins it once per audience, and writes it once to each viewer's transport: no
task, no await and no copy of the payload per viewer. A room that waits for a gap to be filled
holds its own frames only.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from proto.frames import message_frame
from proto.messages import Audience, Message, Visibility
from proto.settings import Settings
from proto.visibility import may_see
from proto.wire import Event
from ws_node.disconnect import Disconnect
from ws_node.event_queue import EventQueue, HeadSeen, Item, PageFound, PositionFound
from ws_node.room import Outgoing, Promise, Room, Viewer

YIELD_EVERY: Final = 1_000
"""Writes after which handshakes, pings and other rooms get a turn."""

BATCH_BYTES: Final = 1_048_576
"""Most bytes joined into one write."""

logger = logging.getLogger(__name__)


class Hub:
    """Every room of this node.

    Attributes:
        epoch: of the log, as history last told; None while mcp_node has never been reached.
        log_position: highest id known to be committed in that log.
        log_refused: whether mcp_node refused the last connection (it is not running).
        wanted: called with a room whenever its follower may want something from history.
        suspicious: called when a frame of another epoch came by.
        delivered, slow, ephemeral: counts for the metrics.
        latency: seconds from publishing to fan-out of the newest message.
        rooms: by session id.
        connected: every viewer, live, joining or catching up.
    """

    def __init__(self, settings: Settings, queue: EventQueue) -> None:
        self.epoch: str | None = None
        self.log_position = 0
        self.log_refused = False
        self.wanted: Callable[[Room], None] = lambda room: None
        self.suspicious: Callable[[], None] = lambda: None
        self.delivered = 0
        self.slow = 0
        self.ephemeral = 0
        self.latency = 0.0
        self.rooms: dict[str, Room] = {}
        self.connected: dict[Viewer, None] = {}
        self._settings = settings
        self._queue = queue
        self._max_unsent = settings.max_unsent_bytes

    # Rooms

    def enter(self, session_id: str) -> Room:
        """The session's room, opened if need be and held open until `leave`."""
        room = self.rooms.get(session_id)
        if room is None:
            room = self.rooms[session_id] = Room(session_id, self._settings)
        room.guests += 1
        room.idle_since = None
        self.wanted(room)
        return room

    def leave(self, room: Room) -> None:
        """Let go of a room; it is followed for a while longer, for those who come back."""
        room.guests -= 1
        if not room.occupied:
            room.idle_since = asyncio.get_running_loop().time()

    def let_in_early(self, room: Room) -> None:
        """A viewer enters before the position is known: promise it everything from now on."""
        if room.promise is None and not room.positioned.is_set():
            room.promise = Promise(self.epoch, self.log_position, self.log_refused)

    def sweep(self) -> None:
        """Drop rooms nobody came back to, and viewers whose token has died."""
        oldest = asyncio.get_running_loop().time() - self._settings.room_linger_seconds
        now = time.time()
        for session_id, room in list(self.rooms.items()):
            if room.idle_since is not None and room.idle_since < oldest:
                del self.rooms[session_id]
        for viewer in list(self.connected):
            if viewer.expires_at is not None and viewer.expires_at <= now:
                viewer.connection.disconnect(Disconnect.TOKEN_EXPIRED)

    def disconnect_all(self, why: Disconnect) -> None:
        """Close every viewer."""
        for viewer in list(self.connected):
            viewer.connection.disconnect(why)

    def set_epoch(self, epoch: str) -> None:
        """History told the log's epoch: if it is another one, everybody must reload."""
        if self.epoch == epoch:
            return
        if self.epoch is not None:
            logger.warning("the log was replaced: closing every viewer with 4002")
            self.disconnect_all(Disconnect.LOG_REPLACED)
            self.log_position = 0
        self.epoch = epoch
        for room in list(self.rooms.values()):
            if room.follower.epoch not in (None, epoch):
                room.start_over()
                self.wanted(room)

    # The drain

    async def run(self) -> None:
        """Drain the queue for ever."""
        while True:
            by_room: dict[str, list[Item]] = {}
            for item in await self._queue.take():
                by_room.setdefault(item.session_id, []).append(item)
            for session_id, items in by_room.items():
                room = self.rooms.get(session_id)
                try:
                    if room is not None:
                        await self._serve(room, items)
                    else:
                        self._note(items)
                except Exception:
                    logger.exception("a room failed; its viewers are sent away to come back")
                    if room is not None:
                        self._abandon(room)

    async def _serve(self, room: Room, items: list[Item]) -> None:
        """Move a room by what came for it, and deliver what may go."""
        self._note(items)
        room.batch += 1
        outgoing: list[Outgoing] = []
        durable: list[Event] = []
        for item in items:
            if isinstance(item, Event):
                if item.id is not None:
                    durable.append(item)
                    continue
                self.ephemeral += 1
            if durable:
                outgoing += room.went_by(room.follower.feed(durable))
                durable = []
            if isinstance(item, Event):
                outgoing.append(room.passing(item))
            else:
                outgoing += self._answered(room, item)
        if durable:
            outgoing += room.went_by(room.follower.feed(durable))
        follower = room.follower
        if follower.foreign:
            follower.foreign = 0
            self.suspicious()
        if follower.replaced_by is not None:
            self.set_epoch(follower.replaced_by)
            return
        if follower.last is None or follower.target > follower.last:
            self.wanted(room)
        if outgoing:
            await self._fan_out(room, outgoing)

    def _answered(self, room: Room, answer: Item) -> list[Outgoing]:
        """History answered: what of it goes to the viewers."""
        follower = room.follower
        if isinstance(answer, PositionFound):
            self.set_epoch(answer.epoch)
            base = self._promised(room, answer)
            events = follower.positioned(answer.epoch, answer.head, base)
            room.found()
            return room.went_by(events)
        if isinstance(answer, PageFound):
            events = [durable_event(message, answer.epoch) for message in answer.messages]
            return room.went_by(follower.page(answer.epoch, events, answer.through))
        if isinstance(answer, HeadSeen):
            follower.seen_head(answer.epoch, answer.head)
        else:
            follower.failed()
        return []

    def _promised(self, room: Room, answer: PositionFound) -> int | None:
        """Where following begins: below the head, if viewers were let in before it was known."""
        promise, room.promise = room.promise, None
        if promise is None:
            return None
        if promise.epoch == answer.epoch:
            return promise.position
        if promise.epoch is None and promise.refused:
            return answer.boot
        self._send_away(room, Disconnect.HISTORY_UNAVAILABLE)
        return None

    def _note(self, items: list[Item]) -> None:
        """Remember how far the log is known to reach."""
        for item in items:
            if isinstance(item, Event) and item.id is not None and item.epoch == self.epoch:
                self.log_position = max(self.log_position, item.id)

    def _abandon(self, room: Room) -> None:
        self._send_away(room, Disconnect.RESTART)
        room.start_over()
        self.wanted(room)

    def _send_away(self, room: Room, why: Disconnect) -> None:
        for _, viewers in room.classes():
            for viewer in viewers:
                viewer.connection.disconnect(why)

    # The fan-out

    async def _fan_out(self, room: Room, outgoing: list[Outgoing]) -> None:
        published = outgoing[-1][0].published_ns
        if published:
            self.latency = (time.monotonic_ns() - published) / 1e9
        start = size = 0
        for index, (_, frame) in enumerate(outgoing):
            if size and size + len(frame) > BATCH_BYTES:
                await self._write(room, outgoing[start:index])
                await asyncio.sleep(0)
                start, size = index, 0
            size += len(frame)
        await self._write(room, outgoing[start:])

    async def _write(self, room: Room, outgoing: list[Outgoing]) -> None:
        """One write to each live viewer; a turn for others every `YIELD_EVERY` writes."""
        batch = room.batch
        limit = self._max_unsent
        since_yield = 0
        for audience, viewers in room.classes():
            data, count = joined(outgoing, audience)
            if not count:
                continue
            for viewer in viewers:
                if viewer.live_since >= batch:
                    continue
                transport = viewer.transport
                if transport.get_write_buffer_size() > limit:
                    self.slow += 1
                    viewer.connection.disconnect(Disconnect.SLOW)
                    continue
                transport.write(data)
                self.delivered += count
                since_yield += 1
                if since_yield >= YIELD_EVERY:
                    since_yield = 0
                    await asyncio.sleep(0)


def joined(outgoing: list[Outgoing], audience: Audience) -> tuple[bytes, int]:
    """The frames an audience may see as one piece of bytes, and how many they are."""
    frames = [
        frame
        for event, frame in outgoing
        if event.visibility is Visibility.PUBLIC
        or may_see(audience, event.visibility, event.principal, event.sender_type)
    ]
    return (frames[0] if len(frames) == 1 else b"".join(frames)), len(frames)


def durable_event(message: Message, epoch: str) -> Event:
    """A message read from history, as the event the bridge would have brought."""
    return Event(
        message.session_id,
        epoch,
        message.id,
        message.prev,
        message.visibility,
        message.principal,
        message.sender_type,
        0,
        message_frame(message),
    )
