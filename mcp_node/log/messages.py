"""Messages as rows: the columns of the log, and how a message becomes a row and back."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from proto.messages import Message, Visibility

COLUMNS: Final = (
    "id, prev, session_id, principal, sender, sender_type, content, visibility, timestamp,"
    " metadata, parent_message_id, deletes, deleted_at"
)
INSERT_MESSAGE: Final = f"INSERT INTO messages ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,NULL)"
HEAD: Final = "SELECT ifnull(max(id), 0) FROM messages"
SESSION_HEAD: Final = "SELECT ifnull(max(id), 0) FROM messages WHERE session_id = ?"

_VISIBILITY: Final = {str(visibility): visibility for visibility in Visibility}


def message_row(message: Message) -> tuple[object, ...]:
    """A message as the parameters of `INSERT_MESSAGE`."""
    return (
        message.id,
        message.prev,
        message.session_id,
        message.principal,
        message.sender,
        message.sender_type,
        message.content,
        str(message.visibility),
        message.timestamp,
        bytes(message.metadata).decode(),
        message.parent_message_id,
        message.deletes,
    )


def message_from_row(row: Sequence[Any]) -> Message:
    """A row of `COLUMNS` as a message."""
    return Message(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        row[6],
        _VISIBILITY[row[7]],
        row[8],
        msgspec.Raw(row[9].encode()),
        row[10],
        row[11],
        row[12] is not None,
    )
