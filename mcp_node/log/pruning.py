"""Pruning: what is older than a moment leaves the database, in small steps.

Of every session and audience key the last entry stays, without its texts: ids are never given out
again, and every position somebody holds still has something after it or is the end. For each key,
so that what is left of the messages somebody may see says nothing of others that came after them.
Who waits to write waits for one step at most.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Transaction
from proto.messages import utc_now

STEP_MESSAGES: Final = 100
"""Messages pruned in one transaction."""

LOOK_ROWS: Final = 10_000
"""Rows of the log one look goes through."""

_IS_LAST: Final = (
    "m.id = (SELECT max(id) FROM messages INDEXED BY messages_by_audience"
    " WHERE session_id = m.session_id AND audience = m.audience)"
)
_OF_STEP: Final = "(SELECT value FROM json_each(:ids))"

LOOK: Final = f"""
    SELECT m.id, m.timestamp < :before AND NOT (
        (m.deletes IS NOT NULL OR m.deleted_at IS NOT NULL) AND {_IS_LAST}
    ), m.deletes IS NULL
    FROM messages AS m WHERE m.id > :after ORDER BY m.id LIMIT :rows
"""
LASTS: Final = f"SELECT m.id FROM messages AS m WHERE m.id IN {_OF_STEP} AND {_IS_LAST}"
SESSIONS: Final = f"SELECT DISTINCT session_id FROM messages WHERE id IN {_OF_STEP}"
REMOVE: Final = (
    f"UPDATE messages SET parent_message_id = NULL WHERE parent_message_id IN {_OF_STEP}",
    f"DELETE FROM messages WHERE id IN {_OF_STEP}",
)
EMPTY: Final = f"""
    UPDATE messages SET content = '', metadata = '{{}}', deleted_at = :now
    WHERE id IN {_OF_STEP} AND deletes IS NULL AND deleted_at IS NULL
"""
COUNT_UP: Final = """
    INSERT INTO meta VALUES ('pruned', '1')
    ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)
"""


class Look(NamedTuple):
    """What of a stretch of the log is to be pruned.

    ``messages`` of the ``ids`` said something (the others are entries that delete); the stretch
    goes to ``through``, and ``done`` says that this is the log's end.
    """

    ids: list[int]
    messages: int
    through: int
    done: bool


def look(connection: Connection, *, before: str, after: int) -> Look:
    """Find what is older than a moment among the next entries of the log.

    Args:
        connection: in a read transaction.
        before: a timestamp as of `proto.messages.utc_now`.
        after: the id the stretch begins after.
    """
    ids: list[int] = []
    messages = 0
    through, seen = after, 0
    for id_, old, said in connection.execute(
        LOOK, {"before": before, "after": after, "rows": LOOK_ROWS}
    ):
        if old and len(ids) == STEP_MESSAGES:
            return Look(ids, messages, through, done=False)
        through, seen = id_, seen + 1
        if old:
            ids.append(id_)
            messages += said
    return Look(ids, messages, through, done=seen < LOOK_ROWS)


class PruneMessages:
    """Take messages out of the database; of the last one under a key, only its texts.

    Args:
        ids: of entries of the log that `look` found.
    """

    size = 512

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = list(ids)

    def apply(self, transaction: Transaction) -> None:
        """Prune them. What refers to them is put right, here or by the companions."""
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
