"""The JSON text of WebSocket frames. They are built only here.

==============  ======================================================  ==========
frame           fields                                                  advances
==============  ======================================================  ==========
new_message     type, session_id, position, data                        yes
message_deleted type, session_id, position, data                        yes
external event  type, session_id, data, origin = ``external``           no
subscribed      type, session_id, epoch, position, recovered            no
unsubscribed    type, session_id                                        no
pong            type                                                    no
error           type, code, message                                     no
presence        type, session_id, data                                  no
==============  ======================================================  ==========

``advances``: whether the frame's position becomes the viewer's ``since``.
``data`` of a new_message has: id, sender, sender_type, content, visibility, timestamp, metadata,
parent_message_id, and hidden_characters if it has any. ``position`` equals ``data.id``. Of a
message that was deleted, ``content`` is empty, ``metadata`` is ``{}``, and a last field ``deleted``
is true; no other has it. ``data`` of a message_deleted has the ``id`` of the message that was
deleted; ``position`` is its own. Fields keep this order, so that the bytes made by mcp_node and
those ws_node makes from the log are the same.
``data`` of a presence: viewers, and agents (a list of `AgentHere`; null: not known now).
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from proto.messages import Message, Visibility

RESERVED_TYPES: Final = frozenset(
    {"message_deleted", "subscribed", "unsubscribed", "pong", "error", "presence"}
)
"""Frame types that only the server itself sends; /broadcast refuses them."""

_encode: Final = msgspec.json.Encoder().encode


class AgentHere(msgspec.Struct, frozen=True, gc=False):
    """An agent at work in a session.

    Attributes:
        name: its principal.
        agent_type: its type.
        last_seen: a timestamp.
        waiting: whether it waits for messages now.
    """

    name: str
    agent_type: str
    last_seen: str
    waiting: bool


class _Data(msgspec.Struct, gc=False):
    id: int
    sender: str
    sender_type: str
    content: str
    visibility: Visibility
    timestamp: str
    metadata: msgspec.Raw
    parent_message_id: int | None
    hidden_characters: int | msgspec.UnsetType = msgspec.UNSET


class _NewMessage(msgspec.Struct, gc=False):
    type: str
    session_id: str
    position: int
    data: _Data


class _DeletedData(_Data, gc=False, kw_only=True):
    deleted: bool


class _DeletedMessage(msgspec.Struct, gc=False):
    type: str
    session_id: str
    position: int
    data: _DeletedData


class _Deleted(msgspec.Struct, gc=False):
    id: int


class _MessageDeleted(msgspec.Struct, gc=False):
    type: str
    session_id: str
    position: int
    data: _Deleted


_DELETION_START: Final = b'{"type":"message_deleted",'
_NO_METADATA: Final = msgspec.Raw(b"{}")


def message_frame(message: Message) -> bytes:
    """The frame of an entry of the log, UTF-8 JSON."""
    if message.deletes is not None:
        deletion = _Deleted(message.deletes)
        return _encode(_MessageDeleted("message_deleted", message.session_id, message.id, deletion))
    if message.deleted:
        return _encode(
            _DeletedMessage(
                "new_message", message.session_id, message.id, _deleted_data(message, message.id)
            )
        )
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
                message.hidden_characters or msgspec.UNSET,
            ),
        )
    )


def _deleted_data(said: Message | _Data, id_: int) -> _DeletedData:
    """A message's data without its texts."""
    return _DeletedData(
        id_,
        said.sender,
        said.sender_type,
        "",
        said.visibility,
        said.timestamp,
        _NO_METADATA,
        said.parent_message_id,
        deleted=True,
    )


def deleted_by(frame: bytes) -> int | None:
    """The id of the message that a durable frame deletes; None for every other frame.

    Only a message_deleted frame is parsed.
    """
    if not frame.startswith(_DELETION_START):
        return None
    try:
        return msgspec.json.decode(frame, type=_MessageDeleted).data.id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def without_texts(frame: bytes) -> bytes:
    """A new_message frame as `message_frame` builds it after the message was deleted.

    Raises:
        ValueError: it is not a new_message frame.
    """
    said = msgspec.json.decode(frame, type=_NewMessage)
    data = _deleted_data(said.data, said.data.id)
    return _encode(_DeletedMessage(said.type, said.session_id, said.position, data))


def external_frame(session_id: str, event_type: str, data: dict[str, Any]) -> bytes:
    """The frame of an event from /broadcast: no position, and marked as external."""
    return _encode(
        {"type": event_type, "session_id": session_id, "data": data, "origin": "external"}
    )


def subscribed_frame(session_id: str, epoch: str | None, position: int, recovered: bool) -> bytes:
    """The answer to a subscription; ``epoch`` is null until mcp_node was reached once."""
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
    """The answer to an unsubscription: no frame of that session follows."""
    return _encode({"type": "unsubscribed", "session_id": session_id})


def presence_frame(session_id: str, viewers: int, agents: Sequence[AgentHere] | None) -> bytes:
    """How many connections watch a session, and the agents at work in it; None: unknown."""
    data = {"viewers": viewers, "agents": agents}
    return _encode({"type": "presence", "session_id": session_id, "data": data})


def error_frame(code: str, message: str) -> bytes:
    """The answer to a command that failed; the connection stays open."""
    return _encode({"type": "error", "code": code, "message": message})


PONG_FRAME: Final = _encode({"type": "pong"})
