"""SQL of sessions and messages, and rows as the types of `proto.messages`.

A filtered read has one branch for each audience key that the reader holds. Each branch is a range
of the index (session_id, audience, id) in order of id; SQLite merges the branches and stops at the
limit. So the cost of a page depends on the messages it shows, not on those that its reader may
not see. With a filter by sender the index is (session_id, audience, sender, id), so that a rare
sender costs no more. An admin's `KEY_RANGE_ALL_TYPES` spans many keys and is not in order of id:
`ALL_TYPES` finds the keys that occur in a session, one seek each, and they become branches too.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from mcp_node.log.messages import COLUMNS, IS_CHANGE
from mcp_node.log.sql import Engine
from proto.messages import Audience, Session, Visibility
from proto.visibility import KEY_LETTERS, KEY_RANGE_ALL_TYPES, held_keys, holds_all_types

BRANCHES: Final = 16
"""The most keys in one statement; for more, the caller merges several statements."""

Entries = Literal["none", "changes", "all"]
"""Which entries about messages are read: none, deletions and the edits that have a text, or all."""

WITH_ENTRIES: Final[dict[Entries, str]] = {
    "none": " AND deletes IS NULL",
    "changes": f" AND (deletes IS NULL OR {IS_CHANGE})",
    "all": "",
}
"""Conditions."""

_LOW, _HIGH = KEY_RANGE_ALL_TYPES

SESSION_COLUMNS: Final = (
    "session_id, purpose, metadata, created_by, created_at, closed_at, messages_per_minute,"
    " agent_messages"
)
SESSION: Final = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE session_id = ?"
MADE_BY: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM sessions INDEXED BY sessions_by_maker"
    " WHERE created_by = ? LIMIT ?) AS made"
)
INSERT_SESSION: Final = (
    "INSERT INTO sessions (session_id, purpose, metadata, created_by, created_at)"
    " VALUES (?, ?, ?, ?, ?)"
)
REPEATED: Final = (
    f"SELECT {COLUMNS}, together FROM messages JOIN (SELECT message_id, together FROM idempotency"
    " WHERE session_id = ? AND principal = ? AND key = ?) AS repeated ON id = message_id"
)
"""The message of an idempotency key, and how many were added together with it under that key."""

REPEATED_TOGETHER: Final = (
    "SELECT message_id, together, digest FROM idempotency"
    " WHERE session_id = ? AND principal = ? AND key = ?"
)
ADDED_TOGETHER: Final = (
    f"SELECT {COLUMNS} FROM messages WHERE session_id = ? AND id >= ? AND id < ? ORDER BY id"
)
INSERT_KEY_TOGETHER: Final = (
    "INSERT INTO idempotency (session_id, principal, key, message_id, digest, together)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
INSERT_KEY: Final = (
    "INSERT INTO idempotency (session_id, principal, key, message_id) VALUES (?, ?, ?, ?)"
)
PRUNED: Final = "SELECT value FROM meta WHERE name = 'pruned'"
MOVED: Final = "SELECT id, session_id FROM messages WHERE id > ? ORDER BY id LIMIT ?"


def all_types(source: str) -> str:
    """SQL for the ``t:`` keys that occur in ``source``, a table and the beginning of a condition.

    The index of ``source`` must begin with the audience, after what the condition fixes: then each
    key costs one seek.
    """
    step = f"SELECT min(audience) FROM {source} audience"
    return (
        f"WITH RECURSIVE types (key) AS (SELECT ({step} >= '{_LOW}' AND audience < '{_HIGH}')"
        f" UNION ALL SELECT ({step} > key AND audience < '{_HIGH}') FROM types"
        " WHERE key IS NOT NULL) SELECT key FROM types WHERE key IS NOT NULL"
    )


ALL_TYPES: Final = all_types("messages WHERE session_id = :session AND")
"""The ``t:`` keys that occur in a session."""


def visible_keys(audience: Audience, visibility: Visibility | None) -> tuple[list[str], bool]:
    """The audience keys to read, and whether those of all types are added (see `ALL_TYPES`)."""
    keys = held_keys(audience)
    all_types = holds_all_types(audience)
    if visibility is None:
        return list(keys), all_types
    letter = KEY_LETTERS[visibility]
    return [key for key in keys if key[0] == letter], all_types and letter == "t"


_OTHER_COLUMNS: Final = ", ".join(f"messages.{name}" for name in COLUMNS.split(", ")[1:])
# Sorted by `message_id`, in whose order the index is read.
_BY_FIELD: Final = (
    f"SELECT f.message_id AS id, {_OTHER_COLUMNS}"
    " FROM metadata_fields AS f CROSS JOIN messages ON messages.id = f.message_id"
    " WHERE f.session_id = :session AND f.audience = :key{number} AND f.digest = :field"
    " AND f.message_id > :after AND f.message_id < :before AND deleted_at IS NULL"
)


@lru_cache(maxsize=256)
def visible(
    keys: int,
    *,
    descending: bool,
    by_sender: bool,
    by_field: bool = False,
    entries: Entries = "none",
    narrowed: str = "",
    engine: Engine = "sqlite",
) -> str:
    """SQL for the messages of a session under some audience keys, in order of id.

    Parameters of the statement: session, after, before (both exclusive), limit, key0, key1 and so
    on, sender if ``by_sender``, field if ``by_field``, and those that ``narrowed`` names.

    Args:
        keys: how many audience keys, at most `BRANCHES`.
        descending: whether the highest ids come first.
        by_sender: whether only one sender's messages are read.
        by_field: whether only messages with a field of the metadata are read, given as its digest.
        entries: which entries about messages are included.
        narrowed: a further condition that begins with AND, or nothing.
        engine: SQLite merges the branches as it reads them. PostgreSQL would sort all their rows,
            so each branch is cut for itself.
    """
    index = "messages_by_sender" if by_sender else "messages_by_audience"
    narrowed += " AND sender = :sender" if by_sender else ""
    narrowed += WITH_ENTRIES[entries]
    begin = (
        _BY_FIELD
        if by_field
        else f"SELECT {COLUMNS} FROM messages INDEXED BY {index}"
        " WHERE session_id = :session AND audience = :key{number}"
        " AND id > :after AND id < :before"
    )
    order = f"ORDER BY id {'DESC' if descending else 'ASC'} LIMIT :limit"
    branches = [f"{begin.format(number=number)}{narrowed}" for number in range(keys)]
    if engine == "postgresql" and keys > 1:
        branches = [f"({branch} {order})" for branch in branches]
    return f"{' UNION ALL '.join(branches)} {order}"


EVERYTHING: Final = (
    f"SELECT {COLUMNS} FROM messages INDEXED BY messages_by_session"
    " WHERE session_id = :session AND id > :after ORDER BY id LIMIT :limit"
)
"""The entries of a session after an id, unfiltered."""


def session_row(session: Session) -> tuple[object, ...]:
    """A session as the parameters of `INSERT_SESSION`."""
    return (
        session.session_id,
        session.purpose,
        bytes(session.metadata).decode(),
        session.created_by,
        session.created_at,
    )


def session_from_row(row: Sequence[Any]) -> Session:
    """A row of `SESSION_COLUMNS` as a session."""
    return Session(row[0], row[1], msgspec.Raw(row[2].encode()), *row[3:8])
