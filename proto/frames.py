"""The JSON text of WebSocket frames. They are built only here.

==============  ======================================================  ==========
frame           fields                                                  advances
==============  ======================================================  ==========
new_message     type, session_id, position, data                        yes
message_deleted type, session_id, position, data                        yes
message_edited  type, session_id, position, data                        yes
message_reacted type, session_id, position, data                        yes
external event  type, session_id, data, origin = ``external``           no
subscribed      type, session_id, epoch, position, recovered            no
unsubscribed    type, session_id                                        no
pong            type                                                    no
error           type, code, message                                     no
presence        type, session_id, data                                  no
==============  ======================================================  ==========

``advances``: whether the frame's position becomes the viewer's ``since``.
``data`` of a new_message has: id, sender, sender_type, content, visibility, timestamp, metadata,
parent_message_id, edited_at if it was edited, and hidden_characters if it has any. ``position``
equals ``data.id``. Of a message that was deleted, ``content`` is empty, ``metadata`` is ``{}``, and
a last field ``deleted`` is true; no other has it.
Of the other frames with a position, ``data.id`` is the message that they are about, and
``position`` their own. A message_deleted has no more. A message_edited has the new content,
metadata, edited_at, and hidden_characters if there are any; it has ``id`` alone if the message was
edited again or deleted since. A message_reacted has sender (who reacted), reaction, and removed
(whether it was taken back). Fields keep this order, so that the bytes made by mcp_node and
those ws_node makes from the log are the same.
``data`` of a presence: viewers, and agents (a list of `AgentHere`; null: not known now).
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from proto.messages import Kind, Message, Visibility

RESERVED_TYPES: Final = frozenset(
    {
        "message_deleted",
        "message_edited",
        "message_reacted",
        "subscribed",
        "unsubscribed",
        "pong",
        "error",
        "presence",
    }
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
    edited_at: str | msgspec.UnsetType = msgspec.UNSET
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


class _EditedData(msgspec.Struct, gc=False):
    id: int
    content: str | msgspec.UnsetType = msgspec.UNSET
    metadata: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    edited_at: str | msgspec.UnsetType = msgspec.UNSET
    hidden_characters: int | msgspec.UnsetType = msgspec.UNSET


class _MessageEdited(msgspec.Struct, gc=False):
    type: str
    session_id: str
    position: int
    data: _EditedData


class _Reaction(msgspec.Struct, gc=False):
    reaction: str
    removed: bool


class _ReactedData(msgspec.Struct, gc=False):
    id: int
    sender: str
    reaction: str
    removed: bool


class _MessageReacted(msgspec.Struct, gc=False):
    type: str
    session_id: str
    position: int
    data: _ReactedData


_MESSAGE_START: Final = b'{"type":"new_message",'
_DELETION_START: Final = b'{"type":"message_deleted",'
_EDIT_START: Final = b'{"type":"message_edited",'
_NO_METADATA: Final = msgspec.Raw(b"{}")


def message_frame(message: Message) -> bytes:
    """The frame of an entry of the log, UTF-8 JSON."""
    if message.about is not None:
        return _frame_about(message, message.about)
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
                message.edited_at or msgspec.UNSET,
                message.hidden_characters or msgspec.UNSET,
            ),
        )
    )


def _frame_about(entry: Message, about: int) -> bytes:
    """The frame of an entry about a message."""
    where = (entry.session_id, entry.id)
    if entry.kind is Kind.EDIT:
        edited = _EditedData(about)
        if entry.content:
            hidden = entry.hidden_characters or msgspec.UNSET
            edited = _EditedData(about, entry.content, entry.metadata, entry.timestamp, hidden)
        return _encode(_MessageEdited("message_edited", *where, edited))
    if entry.kind is Kind.REACTION:
        done = msgspec.json.decode(entry.details or b"", type=_Reaction)
        reacted = _ReactedData(about, entry.sender, done.reaction, done.removed)
        return _encode(_MessageReacted("message_reacted", *where, reacted))
    return _encode(_MessageDeleted("message_deleted", *where, _Deleted(about)))


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


def changed_by(frame: bytes) -> int | None:
    """The id of the message that a durable frame deletes or edits; None for every other frame.

    Only frames that do are parsed. A frame of an edit that is without its text changes nothing.
    """
    try:
        if frame.startswith(_DELETION_START):
            return msgspec.json.decode(frame, type=_MessageDeleted).data.id
        if frame.startswith(_EDIT_START):
            data = msgspec.json.decode(frame, type=_MessageEdited).data
            return None if data.content is msgspec.UNSET else data.id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    return None


def after_change(frame: bytes, change: bytes) -> bytes:
    """A frame as `message_frame` builds it after a later change.

    Args:
        frame: the new_message of a message, or an earlier edit of it, which loses its text.
        change: the message_deleted or message_edited about that message.

    Raises:
        ValueError: they are other frames.
    """
    if frame.startswith(_EDIT_START):
        earlier = msgspec.json.decode(frame, type=_MessageEdited)
        earlier.data = _EditedData(earlier.data.id)
        return _encode(earlier)
    if not frame.startswith(_MESSAGE_START):
        raise ValueError("this frame has no text that could change")
    said = msgspec.json.decode(frame, type=_NewMessage)
    if change.startswith(_DELETION_START):
        data = _deleted_data(said.data, said.data.id)
        return _encode(_DeletedMessage(said.type, said.session_id, said.position, data))
    now = msgspec.json.decode(change, type=_MessageEdited).data
    assert now.content is not msgspec.UNSET and now.metadata is not msgspec.UNSET
    said.data.content, said.data.metadata = now.content, now.metadata
    said.data.edited_at, said.data.hidden_characters = now.edited_at, now.hidden_characters
    return _encode(said)


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
