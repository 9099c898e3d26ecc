"""JSON texts as bytes for a viewer: a WebSocket frame, or a server-sent event."""

from enum import Enum


class Framing(Enum):
    """How a viewer's connection carries JSON texts."""

    WEBSOCKET = "websocket"
    DEFLATED = "websocket, compressed"
    EVENT_STREAM = "event-stream"


def framed(framing: Framing, payload: bytes) -> bytes:
    """Frame a JSON text for one viewer, never compressed.

    Args:
        framing: of the viewer's connection.
        payload: UTF-8 JSON without line breaks.
    """
    return stream_event(payload) if framing is Framing.EVENT_STREAM else text_frame(payload)


def text_frame(payload: bytes) -> bytes:
    """One final, unmasked text frame (RFC 6455, section 5.2): the same bytes for every viewer."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def stream_event(payload: bytes, position: int | None = None) -> bytes:
    """One event of a ``text/event-stream`` (WHATWG HTML, section 9.2)."""
    if position is None:
        return b"data: " + payload + b"\n\n"
    return b"id: %d\ndata: %b\n\n" % (position, payload)
