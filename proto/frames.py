"""The JSON text of WebSocket frames: built here and nowhere else.

==============  ======================================================  ==========
frame           fields                                                  moves since
==============  ======================================================  ==========
new_message     type, session_id, position, data                        yes
external event  type, session_id, data, origin = ``external``           no
subscribed      type, session_id, epoch, position, recovered            no
unsubscribed    type, session_id                                        no
pong            type                                                    no
error           type, code, message                                     no
==============  ======================================================  ==========

``data`` of a new_message: id, sender, sender_type, content, visibility, timestamp, metadata,
parent_message_id. ``position`` equals ``data.id``. Fields keep this order, so that the bytes made
by mcp_node and those ws_node makes from the log are the same.
"""

from typing import Any, Final

import msgspec

from proto.messages import Message, Visibility

RESERVED_TYPES: Final = frozenset({"subscribed", "unsubscribed", "pong", "error", "presence"})
"""Frame types that only the server itself sends; /broadcast refuses them."""

_encode: Final = msgspec.json.Encoder().encode


class _Data(msgspec.Struct, gc=False):
    id: int
    sender: str
    sender_type: str
    content: str
    visibility: Visibility
    timestamp: str
    metadata: msgspec.Raw
    parent_message_id: int | None


class _NewMessage(msgspec.Struct, gc=False):
    type: str
    session_id: str
    position: int
    data: _Data


def message_frame(message: Message) -> bytes:
    """The frame of a durable message, UTF-8 JSON."""
    return _encode(
        _NewMessage(
            "new_message",
            message.session_id,
            message.id,
            _Data(
                message.id,
                message.sender,
                message.sender_type,
                message.content,
                message.visibility,
                message.timestamp,
                message.metadata,
                message.parent_message_id,
            ),
        )
    )


def external_frame(session_id: str, event_type: str, data: dict[str, Any]) -> bytes:
    """The frame of an event from /broadcast: no position, and marked as external."""
    return _encode(
        {"type": event_type, "session_id": session_id, "data": data, "origin": "external"}
    )


def subscribed_frame(session_id: str, epoch: str | None, position: int, recovered: bool) -> bytes:
    """The answer to a subscription; ``epoch`` is null while mcp_node has never been reached."""
    return _encode(
        {
            "type": "subscribed",
            "session_id": session_id,
            "epoch": epoch,
            "position": position,
            "recovered": recovered,
        }
    )


def unsubscribed_frame(session_id: str) -> bytes:
    """The answer to an unsubscription: nothing of that session follows it."""
    return _encode({"type": "unsubscribed", "session_id": session_id})


def error_frame(code: str, message: str) -> bytes:
    """The answer to a command that was not carried out; the connection stays."""
    return _encode({"type": "error", "code": code, "message": message})


PONG_FRAME: Final = _encode({"type": "pong"})
