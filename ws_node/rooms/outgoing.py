"""An event that is sent to viewers, and its bytes in each framing."""

from typing import Final

import msgspec

from proto.wire import Event
from ws_node.rooms.deflate import deflated_frame
from ws_node.rooms.framing import Framing, stream_event

MIN_BYTES: Final = 256
"""Smaller messages are not compressed: at most 80 bytes would be saved, within the same packet."""


class Outgoing(msgspec.Struct, gc=False, eq=False):
    """An event to send, shared by its viewers and the ring.

    Attributes:
        event: the event.
        frame: its plain WebSocket frame.
        deflated: its compressed frame; None until the first viewer needs it.
    """

    event: Event
    frame: bytes
    deflated: bytes | None = None

    def framed(self, framing: Framing) -> bytes:
        """The event's bytes in a framing."""
        if framing is Framing.WEBSOCKET:
            return self.frame
        if framing is Framing.EVENT_STREAM:
            return stream_event(self.event.body, self.event.id)
        if self.deflated is None:
            self.deflated = self._deflate()
        return self.deflated

    def _deflate(self) -> bytes:
        """The shorter of both frames: a plain frame is valid on a compressed connection, too."""
        body = self.event.body
        if len(body) < MIN_BYTES:
            return self.frame
        return min(self.frame, deflated_frame(body), key=len)
