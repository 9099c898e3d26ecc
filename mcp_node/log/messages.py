"""Messages as rows: the columns of the log, and the conversion in both directions."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from proto.messages import Message, Visibility

_NEW: Final = (
    "id, prev, session_id, principal, sender, sender_type, content, visibility, timestamp,"
    " metadata, parent_message_id, deletes"
)
COLUMNS: Final = f"{_NEW}, deleted_at"
INSERT_MESSAGE: Final = f"INSERT INTO messages ({_NEW}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
HEAD: Final = "SELECT ifnull(max(id), 0) FROM messages"
SESSION_HEAD: Final = "SELECT ifnull(max(id), 0) FROM messages WHERE session_id = ?"

_VISIBILITY: Final = {str(visibility): visibility for visibility in Visibility}


def message_row(message: Message) -> tuple[object, ...]:
    """The parameters of `INSERT_MESSAGE` for a message."""
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
    """The message in a row of `COLUMNS`."""
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
