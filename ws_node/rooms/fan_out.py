"""The fan-out: frames of a room are joined once for each class and written once to each viewer.

A class is an audience and a framing. All its viewers get the same bytes, and public messages are
the same bytes for every audience. There is no task, no await and no copy of the payload for each
viewer.

It works in turns. A room with something to send is busy. In each turn the busy rooms write in
rotation, `SLICE` viewers at a time, until `TURN_WRITES` writes are made; then the event loop gets
its turn. So a room with ten thousand viewers does not delay messages of other rooms, handshakes or
pings. Its own later messages wait, and are joined into one write for each viewer.

A viewer that does not keep up is disconnected. It delays nobody and loses nothing: it reconnects
with its position.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from proto.messages import Audience, Visibility
from proto.settings import Settings
from proto.visibility import may_see
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.framing import Framing
from ws_node.rooms.outgoing import Outgoing
from ws_node.rooms.room import Room, Subscription

TURN_WRITES: Final = 1_000
"""Writes after which the event loop gets its turn."""

SLICE: Final = 250
"""Writes of one room after which the next busy room continues."""

BATCH_BYTES: Final = 1_048_576
"""Most bytes joined into one write, unless one frame alone is larger."""

MAX_WAITING_BYTES: Final = 16 * 1_048_576
"""Bytes of frames waiting in busy rooms above which the fan-out is `FanOut.full`."""

Joined = tuple[bytes, int]
"""Frames joined into one byte string, and their number."""

logger = logging.getLogger(__name__)


class FanOut:
    """Writes to viewers. Everything here is synchronous: the hub calls `turn` between awaits.

    Attributes:
        delivered: frames written.
        slow: viewers disconnected because they did not keep up.
        latency: seconds from publishing to fan-out of the newest message.

    Args:
        settings: of the node.
        on_failure: called with a room that could not be served; its unsent messages are dropped.
    """

    def __init__(self, settings: Settings, *, on_failure: Callable[[Room], None]) -> None:
        self.delivered = 0
        self.slow = 0
        self.latency = 0.0
        self._on_failure = on_failure
        self._max_unsent = settings.max_unsent_bytes
        self._busy: deque[tuple[Room, Iterator[int]]] = deque()
        self._waiting_bytes = 0

    @property
    def busy(self) -> bool:
        """Whether there is more to write."""
        return bool(self._busy)

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing should be added for now."""
        return self._waiting_bytes > MAX_WAITING_BYTES

    def add(self, room: Room, outgoing: list[Outgoing]) -> None:
        """Queue messages of a room for the subscriptions that are live now."""
        self._waiting_bytes += sum([len(each.frame) for each in outgoing])
        waiting = room.unsent
        if waiting and waiting[-1][0] == room.batch:
            waiting[-1][1].extend(outgoing)
        else:
            waiting.append((room.batch, outgoing))
        if not room.sending:
            room.sending = True
            self._busy.append((room, self._send(room)))

    def turn(self) -> None:
        """Write until everything is written, or the writes of one turn are made."""
        busy, left = self._busy, TURN_WRITES
        while busy and left > 0:
            room, sending = busy.popleft()
            try:
                left -= next(sending)
            except StopIteration:
                room.sending = False
                continue
            except Exception:
                logger.exception("a room failed; its viewers are disconnected and may reconnect")
                room.sending = False
                self._forget(room)
                self._on_failure(room)
                continue
            busy.append((room, sending))

    def _send(self, room: Room) -> Iterator[int]:
        """Send what a room has; yields the number of writes since the last yield."""
        while room.unsent:
            number, outgoing = self._batch(room)
            published = outgoing[-1].event.published_ns
            if published:
                self.latency = (time.monotonic_ns() - published) / 1e9
            writes = 0
            for (data, count), members in _pieces(room, outgoing):
                if not count:
                    continue
                for start in range(0, len(members), SLICE):
                    part = members[start : start + SLICE] if len(members) > SLICE else members
                    self._write(part, data, count, number)
                    writes += len(part)
                    if writes >= SLICE:
                        yield writes
                        writes = 0
            # The transport sends between turns. Without a turn after each batch, a second large
            # one would make a viewer that does read look slow.
            yield TURN_WRITES if room.unsent else writes

    def _batch(self, room: Room) -> tuple[int, list[Outgoing]]:
        """The number of a room's next batch, and as many of its messages as one write may have."""
        number, outgoing = room.unsent.popleft()
        size = 0
        for index, each in enumerate(outgoing):
            if size and size + len(each.frame) > BATCH_BYTES:
                room.unsent.appendleft((number, outgoing[index:]))
                outgoing = outgoing[:index]
                break
            size += len(each.frame)
        self._waiting_bytes -= size
        return number, outgoing

    def _write(self, members: list[Subscription], data: bytes, count: int, number: int) -> None:
        """Write once to each viewer that went live before the batch; disconnect slow ones."""
        limit, delivered = self._max_unsent, 0
        for member in members:
            if member.live_since >= number:
                continue
            outlet = member.outlet
            if outlet.get_write_buffer_size() > limit:
                self.slow += 1
                member.connection.disconnect(Disconnect.SLOW)
                continue
            outlet.write(data)
            delivered += count
        self.delivered += delivered

    def _forget(self, room: Room) -> None:
        for _, outgoing in room.unsent:
            self._waiting_bytes -= sum(len(each.frame) for each in outgoing)
        room.unsent.clear()


def _pieces(room: Room, outgoing: list[Outgoing]) -> Iterator[tuple[Joined, list[Subscription]]]:
    """The byte strings to write, each with its viewers."""
    if all(each.event.visibility is Visibility.PUBLIC for each in outgoing):
        for framing, members in room.everyone():
            yield joined(outgoing, None, framing), members
    else:
        for audience, framing, members in room.classes():
            yield joined(outgoing, audience, framing), members


def joined(outgoing: list[Outgoing], audience: Audience | None, framing: Framing) -> Joined:
    """Join the frames that an audience may see.

    Args:
        outgoing: in order.
        audience: None if all of them are public.
        framing: of the connections.
    """
    if audience is not None:
        outgoing = [
            each
            for each in outgoing
            if may_see(
                audience, each.event.visibility, each.event.principal, each.event.sender_type
            )
        ]
    if framing is Framing.WEBSOCKET:
        frames = [each.frame for each in outgoing]
    else:
        frames = [each.framed(framing) for each in outgoing]
    return (frames[0] if len(frames) == 1 else b"".join(frames)), len(frames)
