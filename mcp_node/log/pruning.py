"""Pruning: deletes messages older than a given time, in small transactions.

The last entry of every session and audience key keeps its row and loses only its content and
metadata. So ids are never assigned again, and every position that a viewer holds is still at or
before an entry. One is kept for each audience key, not only for each session, so that the
remaining rows do not reveal later messages that a reader may not see. Other writes wait for one
step at most.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from mcp_node.log.sql import Connection, numbers
from mcp_node.log.transaction import Transaction
from proto.messages import utc_now

STEP_MESSAGES: Final = 100
"""Entries pruned in one transaction."""

SCAN_ROWS: Final = 10_000
"""Rows examined in one search for entries to prune."""

_IS_LAST: Final = (
    "m.id = (SELECT max(id) FROM messages INDEXED BY messages_by_audience"
    " WHERE session_id = m.session_id AND audience = m.audience)"
)
_GIVEN_IDS: Final = numbers(":ids")

FIND: Final = f"""
    SELECT m.id, m.timestamp < :before AND NOT (
        (m.deletes IS NOT NULL OR m.deleted_at IS NOT NULL) AND {_IS_LAST}
    ), m.deletes IS NULL
    FROM messages AS m WHERE m.id > :after ORDER BY m.id LIMIT :rows
"""
LASTS: Final = f"SELECT m.id FROM messages AS m WHERE m.id IN {_GIVEN_IDS} AND {_IS_LAST}"
SESSIONS: Final = f"SELECT DISTINCT session_id FROM messages WHERE id IN {_GIVEN_IDS}"
REMOVE: Final = (
    f"UPDATE messages SET parent_message_id = NULL WHERE parent_message_id IN {_GIVEN_IDS}",
    f"DELETE FROM messages WHERE id IN {_GIVEN_IDS}",
)
EMPTY: Final = f"""
    UPDATE messages SET content = '', metadata = '{{}}', deleted_at = :now, edited_by = NULL,
        edited_at = NULL, reactions = 0
    WHERE id IN {_GIVEN_IDS} AND deletes IS NULL AND deleted_at IS NULL
"""
COUNT_UP: Final = """
    INSERT INTO meta VALUES ('pruned', '1')
    ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(meta.value AS BIGINT) + 1 AS TEXT)
"""


class Prunable(NamedTuple):
    """Entries to prune, from one range of the log.

    Attributes:
        ids: the entries.
        messages: how many of them are messages; the others are deletions.
        through: the last id of the range.
        done: whether the range ends at the end of the log.
    """

    ids: list[int]
    messages: int
    through: int
    done: bool


def find_prunable(connection: Connection, *, before: str, after: int) -> Prunable:
    """Find the next entries to prune, at most `STEP_MESSAGES` of them.

    Args:
        connection: in a read transaction.
        before: entries older than this are pruned; a timestamp as of `proto.messages.utc_now`.
        after: the range begins after this id.
    """
    ids: list[int] = []
    messages = 0
    through, seen = after, 0
    for id_, old, said in connection.execute(
        FIND, {"before": before, "after": after, "rows": SCAN_ROWS}
    ):
        if old and len(ids) == STEP_MESSAGES:
            return Prunable(ids, messages, through, done=False)
        through, seen = id_, seen + 1
        if old:
            ids.append(id_)
            messages += said
    return Prunable(ids, messages, through, done=seen < SCAN_ROWS)


class PruneMessages:
    """Delete entries; of the last one under a key, only its content and metadata.

    Args:
        ids: ids of entries, from `find_prunable`.
    """

    size = 512

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = list(ids)

    def apply(self, transaction: Transaction) -> None:
        """Prune the entries, and update what refers to them here or in the companions."""
        # Which entry is the last is decided here again: messages may have been added meanwhile.
        every = _step(self._ids)
        last = {row[0] for row in transaction.read(LASTS, every)}
        sessions = transaction.read(SESSIONS, every).fetchall()
        transaction.pruning(every["ids"])
        for statement in REMOVE:
            transaction.write(statement, _step(id_ for id_ in self._ids if id_ not in last))
        transaction.write(EMPTY, {**_step(last), "now": utc_now()})
        for (session_id,) in sessions:
            transaction.pruned(session_id)
        transaction.write(COUNT_UP)


def _step(ids: Iterable[int]) -> dict[str, str]:
    return {"ids": msgspec.json.encode(list(ids)).decode()}
