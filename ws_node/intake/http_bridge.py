"""What the HTTP bridge posts to /broadcast: durable events.

The requests are described in `proto.wire`.
"""

import time
from typing import Any, Final

import msgspec
from fastapi import Request

from proto import wire
from proto.errors import InvalidInput
from proto.messages import MAX_ID, Visibility
from proto.names import check_principal
from proto.wire import Event

DURABLE_TYPES: Final = frozenset(
    {"new_message", "message_deleted", "message_edited", "message_reacted"}
)

_encode: Final = msgspec.json.Encoder().encode


def durable_event(session_id: str, body: dict[str, Any], request: Request) -> Event:
    """The durable event the HTTP bridge posted: a whole frame and its headers.

    Raises:
        InvalidInput: the frame or a header is not what `mcp_node` sends.
    """
    kind, data, headers = body.get("type"), body.get("data"), request.headers
    prev = headers.get(wire.PREV_HEADER, "")
    if (
        not isinstance(kind, str)
        or kind not in DURABLE_TYPES
        or body.get("session_id") != session_id
        or not isinstance(data, dict)
        or not (prev.isdecimal() and prev.isascii() and len(prev) <= 17)
    ):
        raise InvalidInput("This is not a message of the HTTP bridge.")
    id_ = body.get("position")
    if (
        type(id_) is not int
        or not int(prev) < id_ <= MAX_ID
        or not _fits(kind, data.get("id"), id_)
    ):
        raise InvalidInput("The message has no valid position.")
    if kind == "new_message":
        level, sender_type = data.get("visibility", ""), str(data.get("sender_type", ""))
    else:
        level = headers.get(wire.VISIBILITY_HEADER, "")
        sender_type = headers.get(wire.SENDER_TYPE_HEADER, "")
    try:
        visibility = Visibility(level)
    except ValueError:
        raise InvalidInput("The message has no valid visibility.") from None
    return Event(
        session_id,
        headers[wire.EPOCH_HEADER][: wire.MAX_EPOCH_CHARS],
        id_,
        int(prev),
        visibility,
        check_principal(headers.get(wire.PRINCIPAL_HEADER), wire.PRINCIPAL_HEADER),
        sender_type[: wire.MAX_WORD_CHARS],
        time.monotonic_ns(),
        _encode(body),
    )


def _fits(kind: str, id_: object, position: int) -> bool:
    """Whether an id fits the position: a message's equals it, another frame's is below it."""
    if type(id_) is not int:
        return False
    return id_ == position if kind == "new_message" else 0 < id_ < position
