"""How many messages a session has for a reader, and when the last came: kept, not counted.

A row of ``tallies`` for each session and audience key is brought up to date in the transaction
that adds the messages; what a reader may see is the sum over the keys it holds, so that what it
may not see moves nothing. ``last_at`` is the latest time of all messages under the key, deleted
ones too: what was deleted no longer counts as a message, but it happened.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from proto.messages import Audience, Message
from proto.visibility import KEY_RANGE_ALL_TYPES, audience_key, held_keys, holds_all_types

_LOW, _HIGH = KEY_RANGE_ALL_TYPES

ADD: Final = (
    "INSERT INTO tallies (session_id, audience, messages, last_id, last_at) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET messages = messages + excluded.messages,"
    " last_id = max(last_id, excluded.last_id), last_at = max(last_at, excluded.last_at)"
)


class Tallies:
    """What a transaction has to add to the tallies: one row for each session and audience key."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], tuple[int, int, str]] = {}

    def change(self, message: Message, by: int) -> None:
        """Count a message (``by`` 1), or no longer (-1)."""
        key = audience_key(message.visibility, message.principal, message.sender_type)
        count, last_id, last_at = self._changes.get((message.session_id, key), (0, 0, ""))
        self._changes[message.session_id, key] = (
            count + by,
            max(last_id, message.id),
            max(last_at, message.timestamp),
        )

    def write(self, connection: sqlite3.Connection) -> None:
        """Add it all to the table."""
        if self._changes:
            rows = [(*key, *change) for key, change in self._changes.items()]
            self._changes.clear()
            connection.executemany(ADD, rows)

    def clear(self) -> None:
        """Forget it: what was to be counted was rolled back."""
        self._changes.clear()


def message_count(connection: sqlite3.Connection, audience: Audience, session_id: str) -> int:
    """How many messages of a session ``audience`` may see."""
    keys = held_keys(audience)
    sql = f"SELECT ifnull(sum(messages), 0) FROM ({seen(len(keys), holds_all_types(audience))})"
    return int(connection.execute(sql, {"session": session_id, **named(keys)}).fetchone()[0])


def seen(keys: int, all_types: bool, session: str = ":session") -> str:
    """The tallies of a session (an expression) under a reader's keys, bound as `named` does."""
    single = ", ".join(f":key{number}" for number in range(keys))
    tallies = f"SELECT messages, last_at FROM tallies WHERE session_id = {session} AND audience"
    branches = [f"{tallies} IN ({single})"]
    if all_types:
        branches.append(f"{tallies} >= '{_LOW}' AND audience < '{_HIGH}'")
    return " UNION ALL ".join(branches)


def named(keys: Sequence[str]) -> dict[str, str]:
    """Keys as the parameters key0, key1, and so on."""
    return {f"key{number}": key for number, key in enumerate(keys)}
