"""Filters of messages: everything under a message, and fields of the metadata.

Both read only rows under the audience keys of their reader, so messages that it may not see change
neither results nor time. A reply may be seen only by those who may see its parent
(`proto.visibility.reply_fits`), so whatever a reader may see under a message hangs on messages that
it may see.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from mcp_node.log.messages import COLUMNS, message_from_row
from mcp_node.log.sql import Connection, numbers
from mcp_node.sessions.rows import ALL_TYPES, WITH_ENTRIES, Entries, visible_keys
from proto.errors import InvalidInput, MessageNotFound
from proto.messages import MAX_ID, Audience, Visibility
from proto.visibility import may_see

MAX_THREAD: Final = 10_000
"""The most messages under one message that are read, about 50 ms."""

COUNTED: Final = 1_000
"""The most messages that are counted of each field and sender to find the rarest."""


def has_fields(messages: str) -> str:
    """Condition: a message has all of ``wanted`` fields, given as ``fields``, a list of digests."""
    return (
        f"(SELECT count(*) FROM metadata_fields AS g WHERE g.message_id = {messages}.id"
        " AND g.digest IN (SELECT value FROM json_each(:fields))) = :wanted"
    )


_KEYS: Final = "audience IN (SELECT value FROM json_each(:keys))"
_MESSAGE: Final = (
    f"SELECT {COLUMNS} FROM messages WHERE id = ? AND session_id = ? AND deletes IS NULL"
)
_UNDER: Final = (
    "WITH RECURSIVE under (id) AS ("
    "SELECT id FROM messages INDEXED BY messages_by_reply"
    f" WHERE parent_message_id = :thread AND {_KEYS}"
    " UNION ALL SELECT m.id FROM under CROSS JOIN messages AS m INDEXED BY messages_by_reply"
    " ON m.parent_message_id = under.id"
    f" WHERE m.{_KEYS}) SELECT id FROM under LIMIT :most"
)
_IN_THREAD: Final = (
    f"SELECT {COLUMNS} FROM messages WHERE id IN {numbers(':ids')} AND {_KEYS}"
    " AND id > :after AND id < :before"
)
_COUNT: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM metadata_fields WHERE session_id = :session"
    f" AND audience = :key AND digest = :field LIMIT {COUNTED}) AS counted"
)
_COUNT_SENDER: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM messages INDEXED BY messages_by_sender"
    f" WHERE session_id = :session AND audience = :key AND sender = :sender LIMIT {COUNTED})"
    " AS counted"
)


def keys_in(
    connection: Connection, session_id: str, audience: Audience, visibility: Visibility | None
) -> list[str]:
    """All audience keys of a session that a reader holds; ``visibility``: only those of one."""
    keys, all_types = visible_keys(audience, visibility)
    if all_types:
        found = connection.execute(ALL_TYPES, {"session": session_id})
        keys.extend(key for (key,) in found)
    return keys


def under(
    connection: Connection, session_id: str, audience: Audience, message_id: int
) -> list[int]:
    """The ids of all messages that a reader may see under a message: replies, and theirs.

    Raises:
        MessageNotFound: the session has no such message that the reader may see.
        InvalidInput: there are more than `MAX_THREAD`.
    """
    row = connection.execute(_MESSAGE, (min(message_id, MAX_ID), session_id)).fetchone()
    message = None if row is None else message_from_row(row)
    if message is None or not may_see(
        audience, message.visibility, message.principal, message.sender_type
    ):
        raise MessageNotFound
    keys = keys_in(connection, session_id, audience, None)
    parameters = {"thread": message_id, "keys": _json(keys), "most": MAX_THREAD + 1}
    rows = connection.execute(_UNDER, parameters).fetchall()
    if len(rows) > MAX_THREAD:
        raise InvalidInput(
            f"There are more than {MAX_THREAD} messages under this one.",
            "Give one of its replies as thread, or read the session with after.",
        )
    return [id_ for (id_,) in rows]


@lru_cache(maxsize=64)
def in_thread(*, descending: bool, by_sender: bool, entries: Entries, narrowed: str) -> str:
    """SQL for those of some messages (``ids``) that have one of some audience keys (``keys``).

    The other parameters are those of `mcp_node.sessions.rows.visible`.
    """
    narrowed += " AND sender = :sender" if by_sender else ""
    narrowed += WITH_ENTRIES[entries]
    return f"{_IN_THREAD}{narrowed} ORDER BY id {'DESC' if descending else 'ASC'} LIMIT :limit"


def rarest_field(
    connection: Connection,
    key: str,
    parameters: Mapping[str, object],
    fields: Sequence[str],
    sender: str | None,
) -> str | None:
    """The field that the fewest messages of an audience key have; its index orders the page.

    Args:
        connection: in a read transaction.
        key: the audience key to read.
        parameters: of the page: ``session`` and ``sender``.
        fields: the digests to choose from.
        sender: the sender of all messages; None for any.

    Returns:
        None if there are no fields, or the sender has fewer messages than any of them.
    """
    if not fields or (len(fields) == 1 and sender is None):
        return fields[0] if fields else None
    held = {**parameters, "key": key}

    def count(sql: str, field: str) -> int:
        return int(connection.execute(sql, {**held, "field": field}).fetchone()[0])

    counts = {field: count(_COUNT, field) for field in fields}
    rarest = min(counts, key=counts.__getitem__)
    few = sender is not None and count(_COUNT_SENDER, "") < counts[rarest]
    return None if few else rarest


def _json(values: Sequence[object]) -> str:
    return msgspec.json.encode(values).decode()
