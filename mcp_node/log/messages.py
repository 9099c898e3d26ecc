"""Messages as rows: the columns of the log, and the conversion in both directions."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from mcp_node.log.sql import Connection, numbers
from proto.messages import Kind, Message, Visibility

_NEW: Final = (
    "id, prev, session_id, principal, sender, sender_type, content, visibility, timestamp,"
    " metadata, parent_message_id, deletes, kind, details"
)
COLUMNS: Final = f"{_NEW}, deleted_at, edited_at, reactions"
INSERT_MESSAGE: Final = f"INSERT INTO messages ({_NEW}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
IS_CURRENT_EDIT: Final = (
    "kind = 'edit' AND id = (SELECT e.edited_by FROM messages AS e WHERE e.id = messages.deletes)"
)
"""Condition: an entry is an edit whose text is the message's text now."""

IS_CHANGE: Final = f"(kind IS NULL OR {IS_CURRENT_EDIT})"
"""Condition, of entries about messages: it is a deletion, or an edit that has a text."""
HEAD: Final = "SELECT ifnull(max(id), 0) FROM messages"
SESSION_HEAD: Final = "SELECT ifnull(max(id), 0) FROM messages WHERE session_id = ?"

_TEXTS: Final = (
    "SELECT edited_by, content, metadata FROM messages"
    f" WHERE id IN {numbers(':messages')} AND edited_by IN {numbers(':edits')}"
)
_KINDS: Final = {None: Kind.MESSAGE, "edit": Kind.EDIT, "reaction": Kind.REACTION}
_NO_METADATA: Final = "{}"

_VISIBILITY: Final = {str(visibility): visibility for visibility in Visibility}


def message_row(message: Message) -> tuple[object, ...]:
    """The parameters of `INSERT_MESSAGE` for an entry.

    An edit is stored without its texts, which are those of the message itself (`with_texts`).
    """
    is_edit = message.kind is Kind.EDIT
    return (
        message.id,
        message.prev,
        message.session_id,
        message.principal,
        message.sender,
        message.sender_type,
        "" if is_edit else message.content,
        str(message.visibility),
        message.timestamp,
        _NO_METADATA if is_edit else bytes(message.metadata).decode(),
        message.parent_message_id,
        message.about,
        str(message.kind) if message.kind in (Kind.EDIT, Kind.REACTION) else None,
        None if message.details is None else bytes(message.details).decode(),
    )


def message_from_row(row: Sequence[Any]) -> Message:
    """The entry in a row of `COLUMNS`."""
    about, kind, details = row[11:14]
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
        about,
        row[14] is not None,
        Kind.DELETION if kind is None and about is not None else _KINDS[kind],
        None if details is None else msgspec.Raw(details.encode()),
        row[15],
        row[16],
    )


def with_texts(connection: Connection, entries: list[Message]) -> list[Message]:
    """Entries as they were read, with the texts of edits that have one still."""
    edits = [each for each in entries if each.kind is Kind.EDIT]
    if not edits:
        return entries
    wanted = {
        "messages": msgspec.json.encode([each.about for each in edits]).decode(),
        "edits": msgspec.json.encode([each.id for each in edits]).decode(),
    }
    texts = {
        edit: (content, msgspec.Raw(metadata.encode()))
        for edit, content, metadata in connection.execute(_TEXTS, wanted)
    }
    return [
        each
        if each.id not in texts
        else msgspec.structs.replace(each, content=texts[each.id][0], metadata=texts[each.id][1])
        for each in entries
    ]
