"""The fan-out: what goes to a room's viewers, joined once per class, written once to each.

A class is an audience and a framing: all of it gets the same bytes.

No task, no await and no copy of the payload per viewer. A viewer that does not keep up is closed;
it delays nobody and loses nothing, because it comes back with its position.
"""

import asyncio
import time
from typing import Final

from proto.messages import Audience, Visibility
from proto.settings import Settings
from proto.visibility import may_see
from ws_node.disconnect import Disconnect
from ws_node.framing import Framing, framed
from ws_node.room import Outgoing, Room

YIELD_EVERY: Final = 1_000
"""Writes after which handshakes, pings and other rooms get a turn."""

BATCH_BYTES: Final = 1_048_576
"""Most bytes joined into one write, unless one frame alone is larger."""

Joined = tuple[bytes, int]
"""Frames as one piece of bytes, and how many they are."""


class FanOut:
    """Writes to viewers.

    Attributes:
        delivered: frames written.
        slow: viewers closed because they did not keep up.
        latency: seconds from publishing to fan-out of the newest message.
    """

    def __init__(self, settings: Settings) -> None:
        self.delivered = 0
        self.slow = 0
        self.latency = 0.0
        self._max_unsent = settings.max_unsent_bytes
        self._unyielded = 0

    async def deliver(self, room: Room, outgoing: list[Outgoing]) -> None:
        """Send a room's batch to those who were live before it."""
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
        public = all(event.visibility is Visibility.PUBLIC for event, _ in outgoing)
        common: dict[Framing, Joined] = {}
        for audience, framing, members in room.classes():
            data, count = common.get(framing) or joined(outgoing, audience, framing)
            if public:
                common[framing] = data, count
            if not count:
                continue
            for member in members:
                if member.live_since >= batch:
                    continue
                outlet = member.outlet
                if outlet.get_write_buffer_size() > limit:
                    self.slow += 1
                    member.connection.disconnect(Disconnect.SLOW)
                    continue
                outlet.write(data)
                self.delivered += count
                self._unyielded += 1
                if self._unyielded >= YIELD_EVERY:
                    self._unyielded = 0
                    await asyncio.sleep(0)


def joined(outgoing: list[Outgoing], audience: Audience, framing: Framing) -> Joined:
    """The frames an audience may see as one piece of bytes, and how many they are."""
    frames = [
        frame if framing is Framing.WEBSOCKET else framed(framing, event.body, event.id)
        for event, frame in outgoing
        if may_see(audience, event.visibility, event.principal, event.sender_type)
    ]
    return (frames[0] if len(frames) == 1 else b"".join(frames)), len(frames)
