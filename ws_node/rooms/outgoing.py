"""What goes to viewers: an event, in the framing of each connection that takes it."""

from typing import Final

import msgspec

from proto.wire import Event
from ws_node.rooms.deflate import deflated_frame
from ws_node.rooms.framing import Framing, stream_event

MIN_BYTES: Final = 256
"""Smaller messages are not compressed: the less than 80 bytes saved are lost in the packet."""


class Outgoing(msgspec.Struct, gc=False, eq=False):
    """An event on its way, shared by all who get it, and by the ring.

    Attributes:
        event: the event.
        frame: its plain WebSocket frame.
        deflated: that frame compressed; None until the first viewer takes it so.
    """

    event: Event
    frame: bytes
    deflated: bytes | None = None

    def framed(self, framing: Framing) -> bytes:
        """The event as a connection of that framing carries it."""
        if framing is Framing.WEBSOCKET:
            return self.frame
        if framing is Framing.EVENT_STREAM:
            return stream_event(self.event.body, self.event.id)
        if self.deflated is None:
            self.deflated = self._deflate()
        return self.deflated

    def _deflate(self) -> bytes:
        """Compressed, unless that saves nothing: a plain frame is valid among compressed ones."""
        body = self.event.body
        if len(body) < MIN_BYTES:
            return self.frame
        return min(self.frame, deflated_frame(body), key=len)
