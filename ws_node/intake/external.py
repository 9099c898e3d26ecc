"""External events: bodies posted to /broadcast, checked and built into frames."""

import time
from typing import Any, Final

from proto.errors import InvalidInput
from proto.frames import RESERVED_TYPES, external_frame
from proto.messages import Visibility
from proto.names import check_free_name
from proto.wire import Event

EXTERNAL: Final = "external"
MAX_TYPE_CHARS: Final = 64

_MESSAGE_FIELDS: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "content": ((str,), "a string"),
    "id": ((int,), "an integer"),
    "sender": ((str,), "a string"),
    "sender_type": ((str,), "a string"),
    "timestamp": ((str,), "a string"),
    "metadata": ((dict,), "an object"),
    "parent_message_id": ((int, type(None)), "an integer or null"),
}
"""Types of ``data``'s fields in a ``new_message``; clients rely on them. Others are allowed."""


def external_event(session_id: str, body: dict[str, Any]) -> Event:
    """The ephemeral event of a posted body.

    ``data.visibility`` decides who sees it. For private and agent_only ``data.sender`` and
    ``data.sender_type`` name the principal and the type; reserved names match no viewer.

    Raises:
        InvalidInput: no usable type or data, an unknown visibility, or a ``new_message`` whose
            data is not that of a message.
    """
    kind, data = body.get("type"), body.get("data")
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_TYPE_CHARS:
        raise InvalidInput(f"type must be a string of 1 to {MAX_TYPE_CHARS} characters.")
    if kind in RESERVED_TYPES:
        raise InvalidInput("That type belongs to the protocol itself.", "Use another one.")
    if not isinstance(data, dict):
        raise InvalidInput("data must be a JSON object.")
    try:
        visibility = Visibility(data.get("visibility", Visibility.PUBLIC))
    except ValueError:
        raise InvalidInput(f"data.visibility must be one of: {', '.join(Visibility)}.") from None
    if kind == "new_message":
        _check_message(data)
    return Event(
        session_id,
        "",
        None,
        0,
        visibility,
        _named(data.get("sender")),
        _named(data.get("sender_type")),
        time.monotonic_ns(),
        external_frame(session_id, kind, data),
    )


def _check_message(data: dict[str, Any]) -> None:
    if "content" not in data:
        raise InvalidInput("data.content is missing: a new_message has one.")
    for name, (kinds, words) in _MESSAGE_FIELDS.items():
        if name in data and type(data[name]) not in kinds:  # not isinstance: a bool is an int
            raise InvalidInput(f"data.{name} must be {words}.")


def _named(name: Any) -> str:
    try:
        return check_free_name(name, "name")
    except InvalidInput:
        return EXTERNAL
