"""How many messages a session has for a reader, and the time of the last: stored, not counted.

The table ``tallies`` has a row for each session and audience key, updated in the transaction that
adds the messages. A reader's count is the sum over the keys it holds, so messages that it may not
see change nothing. ``last_at`` is the latest time of all messages under the key, deleted ones
included: a deleted message is not counted any more, but it was activity.
"""

from collections.abc import Sequence
from typing import Final

from mcp_node.log.sql import Connection, numbers
from mcp_node.log.transaction import Companion, Transaction
from proto.messages import Audience, Message
from proto.visibility import KEY_RANGE_ALL_TYPES, audience_key, held_keys, holds_all_types

_LOW, _HIGH = KEY_RANGE_ALL_TYPES

ADD: Final = (
    "INSERT INTO tallies (session_id, audience, messages, last_id, last_at) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (session_id, audience) DO UPDATE SET"
    " messages = tallies.messages + excluded.messages,"
    " last_id = max(tallies.last_id, excluded.last_id),"
    " last_at = max(tallies.last_at, excluded.last_at)"
)


_OF_IDS: Final = numbers(":ids")
PRUNED: Final = f"""
    SELECT session_id, audience, count(*) FROM messages
    WHERE id IN {_OF_IDS} AND deletes IS NULL AND deleted_at IS NULL
    GROUP BY session_id, audience
"""
# The row stays even at 0: its last_at is still true.
UNCOUNT: Final = """
    UPDATE tallies SET messages = messages - :count
    WHERE session_id = :session AND audience = :audience
"""


class Tallies(Companion):
    """Keeps the tallies: collects a transaction's changes and writes them at its end."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], tuple[int, int, str]] = {}

    def added(self, message: Message) -> None:
        """Count a message; an entry about one is not counted."""
        if message.about is None:
            self._change(message, 1)

    def erasing(self, transaction: Transaction, message: Message) -> None:
        """Subtract a deleted message."""
        self._change(message, -1)

    def pruning(self, transaction: Transaction, ids: str) -> None:
        """Subtract pruned messages."""
        for session_id, audience, count in transaction.read(PRUNED, {"ids": ids}).fetchall():
            row = {"session": session_id, "audience": audience, "count": count}
            transaction.write(UNCOUNT, row)

    def _change(self, message: Message, by: int) -> None:
        key = audience_key(message.visibility, message.principal, message.sender_type)
        count, last_id, last_at = self._changes.get((message.session_id, key), (0, 0, ""))
        self._changes[message.session_id, key] = (
            count + by,
            max(last_id, message.id),
            max(last_at, message.timestamp),
        )

    def finish(self, connection: Connection) -> None:
        """Write the changes to the table."""
        if self._changes:
            rows = [(*key, *change) for key, change in self._changes.items()]
            self._changes.clear()
            connection.executemany(ADD, rows)

    def forget(self) -> None:
        """Drop the changes of a transaction that was rolled back."""
        self._changes.clear()


def message_count(connection: Connection, audience: Audience, session_id: str) -> int:
    """How many messages of a session ``audience`` may see."""
    keys = held_keys(audience)
    tallies = seen(len(keys), holds_all_types(audience))
    sql = f"SELECT ifnull(sum(messages), 0) FROM ({tallies}) AS seen"
    return int(
        connection.execute(sql, {"session": session_id, **key_parameters(keys)}).fetchone()[0]
    )


def seen(keys: int, all_types: bool, session: str = ":session") -> str:
    """SQL for the tallies of a session under keys, which are bound by `key_parameters`."""
    single = ", ".join(f":key{number}" for number in range(keys))
    tallies = f"SELECT messages, last_at FROM tallies WHERE session_id = {session} AND audience"
    branches = [f"{tallies} IN ({single})"]
    if all_types:
        branches.append(f"{tallies} >= '{_LOW}' AND audience < '{_HIGH}'")
    return " UNION ALL ".join(branches)


def key_parameters(keys: Sequence[str]) -> dict[str, str]:
    """Audience keys as the parameters key0, key1 and so on."""
    return {f"key{number}": key for number, key in enumerate(keys)}
