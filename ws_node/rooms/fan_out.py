"""The fan-out: what goes to a room's viewers, joined once per class, written once to each.

A class is an audience and a framing: all of it gets the same bytes, and public messages are the
same bytes for every audience. No task, no await and no copy of the payload per viewer.

It works in turns. A room with something to send is busy; each turn busy rooms write in rotation,
`SLICE` viewers at a time, until `TURN_WRITES` are made and the event loop gets its turn. So a room
with ten thousand viewers holds up nobody else's messages, handshakes or pings; what comes for it
meanwhile waits, and leaves joined into one write per viewer.

A viewer that does not keep up is closed; it delays nobody and loses nothing, because it comes
back with its position.
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
"""Writes after which the event loop gets a turn."""

SLICE: Final = 250
"""Writes of one room after which the next busy room goes on."""

BATCH_BYTES: Final = 1_048_576
"""Most bytes joined into one write, unless one frame alone is larger."""

MAX_WAITING_BYTES: Final = 16 * 1_048_576
"""Frames waiting in busy rooms at which `FanOut.full` asks for no more."""

Joined = tuple[bytes, int]
"""Frames as one piece of bytes, and how many they are."""

logger = logging.getLogger(__name__)


class FanOut:
    """Writes to viewers. Everything here is synchronous: the hub calls `turn` between awaits.

    Attributes:
        delivered: frames written.
        slow: viewers closed because they did not keep up.
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
        """Whether so much waits that no more should be added."""
        return self._waiting_bytes > MAX_WAITING_BYTES

    def add(self, room: Room, outgoing: list[Outgoing]) -> None:
        """Have a room send messages to those who are live now."""
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
        """Write until everything has been written, or as much as one turn may."""
        busy, left = self._busy, TURN_WRITES
        while busy and left > 0:
            room, sending = busy.popleft()
            try:
                left -= next(sending)
            except StopIteration:
                room.sending = False
                continue
            except Exception:
                logger.exception("a room failed; its viewers are sent away to come back")
                room.sending = False
                self._forget(room)
                self._on_failure(room)
                continue
            busy.append((room, sending))

    def _send(self, room: Room) -> Iterator[int]:
        """Send what a room has; yields how many writes it made since it last did."""
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
            # What is written leaves the process between turns: without one, a second large batch
            # would make a viewer that reads look slow.
            yield TURN_WRITES if room.unsent else writes

    def _batch(self, room: Room) -> tuple[int, list[Outgoing]]:
        """The next messages of a room, as many as may be one write, and their batch's number."""
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
        """One write to each viewer that was live before the batch."""
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
    """What to write, and to whom."""
    if all(each.event.visibility is Visibility.PUBLIC for each in outgoing):
        for framing, members in room.everyone():
            yield joined(outgoing, None, framing), members
    else:
        for audience, framing, members in room.classes():
            yield joined(outgoing, audience, framing), members


def joined(outgoing: list[Outgoing], audience: Audience | None, framing: Framing) -> Joined:
    """The frames an audience may see as one piece of bytes, and how many they are.

    Args:
        outgoing: in order.
        audience: None if they are public, every one.
        framing: how the bytes are framed.
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
