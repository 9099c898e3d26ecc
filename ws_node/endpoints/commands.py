"""Commands of viewers: text in, a command or `InvalidInput` out.

========================================================  =========================================
text                                                      meaning
========================================================  =========================================
``ping``                                                  answered with the text ``pong``
``{"type": "ping"}``                                      answered with ``{"type": "pong"}``
``{"type": "subscribe", "since": ID, "epoch": E}``        start (or restart) a session after ID
``{"type": "subscribe"}``                                 start (or restart) it from now
``{"type": "subscribe", …, "presence": true}``            also get presence frames (false: no more)
``{"type": "unsubscribe"}``                               end it
========================================================  =========================================

The last two types take a ``session_id``. On ``/ws/{session_id}`` it may be omitted and defaults to
that session.
"""

from typing import Any

import msgspec

from proto import strictjson
from proto.errors import InvalidInput
from proto.messages import MAX_ID
from proto.names import check_name
from ws_node.log.catch_up import Subscribe

MAX_DEPTH = 8


class Ping(msgspec.Struct, frozen=True):
    """A ping; ``plain`` if it was the text ``ping``, not a JSON object."""

    plain: bool


class Unsubscribe(msgspec.Struct, frozen=True):
    """End the subscription to a session."""

    session_id: str


def parse_command(
    text: str, *, max_bytes: int, default_session: str | None
) -> Ping | Subscribe | Unsubscribe:
    """Parse a command.

    Args:
        text: as received.
        max_bytes: most bytes accepted.
        default_session: the session of a command that names none; None if it must name one.

    Raises:
        InvalidInput: it is not one of the table above.
    """
    if text == "ping":
        return Ping(plain=True)
    value = strictjson.loads(text.encode(), max_bytes=max_bytes, max_depth=MAX_DEPTH)
    if not isinstance(value, dict):
        raise InvalidInput("A command is a JSON object with a type.")
    kind = value.get("type")
    if kind == "ping":
        _only(value, {"type"})
        return Ping(plain=False)
    if kind == "subscribe":
        _only(value, {"type", "session_id", "since", "epoch", "presence"})
        position = check_position(value.get("since"), value.get("epoch"))
        presence = value.get("presence")
        if presence is not None and not isinstance(presence, bool):
            raise InvalidInput("presence must be true or false.")
        return Subscribe(_session(value, default_session), *position, presence)
    if kind == "unsubscribe":
        _only(value, {"type", "session_id"})
        return Unsubscribe(_session(value, default_session))
    raise InvalidInput("There is no such command.", "Use ping, subscribe or unsubscribe.")


def _session(value: dict[str, Any], default: str | None) -> str:
    named = value.get("session_id", default)
    return check_name(named, "session_id")


def check_position(since: Any, epoch: Any) -> tuple[int | None, str | None]:
    """Check a position that a client sent; returns it.

    Raises:
        InvalidInput: ``since`` is not an integer from 0 to 2**53, ``epoch`` not a string of at
            most 64 characters, or an epoch stands without since.
    """
    if since is not None and (type(since) is not int or not 0 <= since <= MAX_ID):
        raise InvalidInput("since must be an integer from 0 to 2**53.")
    if epoch is not None and (not isinstance(epoch, str) or not 0 < len(epoch) <= 64):
        raise InvalidInput("epoch must be a string of 1 to 64 characters.")
    if since is None and epoch is not None:
        raise InvalidInput("epoch needs since.")
    return since, epoch


def _only(value: dict[str, Any], fields: set[str]) -> None:
    if set(value) - fields:
        raise InvalidInput("The command has a field it does not know.")
