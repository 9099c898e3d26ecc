"""SQL of the roster: who was in a session, and how far each has read."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from mcp_node.inbox.unread import ReadPosition
from mcp_node.log.messages import COLUMNS, message_from_row
from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Transaction
from proto.messages import Audience, Message, Visibility

_ROW_BYTES: Final = 256
_STEP_BYTES: Final = 64
_ROSTER: Final = (
    "SELECT principal, agent_type, is_admin, first_seen, last_seen, joined_after, position,"
    " waiting_until FROM readers WHERE session_id = ? ORDER BY last_seen DESC, principal"
)
_NAMED: Final = (
    "SELECT principal, agent_type, is_admin FROM readers"
    " WHERE session_id = ? AND lower(principal) IN (SELECT value FROM json_each(?))"
)
_SEEN_SINCE: Final = (
    "SELECT session_id, principal, agent_type, is_admin, last_seen, waiting_until FROM readers"
    " WHERE session_id IN (SELECT value FROM json_each(?))"
    " AND (last_seen >= ? OR waiting_until > ?)"
)
_WAITS: Final = "UPDATE readers SET waiting_until = ? WHERE session_id = ? AND principal = ?"
_PASSED: Final = (
    "SELECT principal, min(at) FROM advances WHERE session_id = ? AND position >= ?"
    " AND out_of_turn = 0 GROUP BY principal"
)
_OUT_OF_TURN: Final = (
    "SELECT principal, at FROM advances WHERE session_id = ? AND position = ? AND out_of_turn = 1"
)
_SAVE: Final = """
INSERT INTO readers (session_id, principal, agent_type, is_admin, first_seen, last_seen,
                     joined_after, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (session_id, principal) DO UPDATE SET
    agent_type = excluded.agent_type, is_admin = excluded.is_admin,
    last_seen = max(readers.last_seen, excluded.last_seen),
    joined_after = ifnull(readers.joined_after, excluded.joined_after),
    position = CASE WHEN excluded.position IS NULL THEN readers.position
                    ELSE max(ifnull(readers.position, 0), excluded.position) END
"""
MOST_REPLIES: Final = 1_000
"""The most replies of a message that are read for its receipts, the first of them."""

_REPLIES: Final = (
    "SELECT principal, sender_type, visibility, timestamp FROM messages"
    f" WHERE parent_message_id = ? AND deletes IS NULL ORDER BY id LIMIT {MOST_REPLIES}"
)
_ADVANCE: Final = "INSERT INTO advances VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_MENTIONS: Final = "SELECT name FROM mentions WHERE message_id = ? ORDER BY name"


class RosterEntry(msgspec.Struct, frozen=True):
    """A principal that was in a session; times are UTC.

    ``waiting_until``: until when it waits for messages on some node; None: on no other node.
    """

    audience: Audience
    first_seen: str
    last_seen: str
    place: ReadPosition
    waiting_until: str | None = None


class Seen(msgspec.Struct, frozen=True):
    """Somebody in a session: when it was last seen there, and whether it waits for messages."""

    audience: Audience
    at: str
    waiting: bool


class Reply(msgspec.Struct, frozen=True):
    """Who replied to a message, and when."""

    principal: str
    sender_type: str
    visibility: Visibility
    at: str


class Receipts(msgspec.Struct, frozen=True):
    """What is stored about who was given a message.

    ``entries``: all who were in its session. ``passed``: when a position passed the message, by
    principal. ``out_of_turn``: when it was given out of turn, by principal. ``replies``: their
    authors must have been given it.
    """

    message: Message
    mentions: list[str]
    entries: list[RosterEntry]
    passed: dict[str, str]
    out_of_turn: dict[str, str]
    replies: list[Reply]


class Advance(msgspec.Struct, frozen=True):
    """A step of a reader: its position reached ``position``, or got that entry out of turn."""

    position: int
    out_of_turn: bool
    at: str


class RosterUpdate(msgspec.Struct, frozen=True):
    """A reader's state in a session, to be stored.

    ``waiting_until``: until when it waits; empty: no longer; None: nothing is known of it here.
    """

    session_id: str
    entry: RosterEntry
    advances: list[Advance]
    waiting_until: str | None = None


class SaveRoster:
    """Store the state of readers. Stored positions never decrease."""

    def __init__(self, updates: Sequence[RosterUpdate]) -> None:
        self._attendances = updates
        steps = sum(len(each.advances) for each in updates)
        self.size = _ROW_BYTES * len(updates) + _STEP_BYTES * steps

    def apply(self, transaction: Transaction) -> None:
        """Write the rows."""
        for each in self._attendances:
            who, place = each.entry, each.entry.place
            audience = who.audience
            row: tuple[object, ...] = (
                each.session_id,
                audience.agent_id,
                audience.agent_type,
                audience.is_admin,
                who.first_seen,
                who.last_seen,
                place.joined_after,
                place.position,
            )
            transaction.write(_SAVE, row)
            if each.waiting_until is not None:
                until = each.waiting_until or None
                transaction.write(_WAITS, (until, each.session_id, audience.agent_id))
            for step in each.advances:
                moved = (step.position, step.out_of_turn, step.at)
                transaction.write(_ADVANCE, (each.session_id, audience.agent_id, *moved))


def roster(connection: Connection, session_id: str) -> list[RosterEntry]:
    """All who were in a session, the latest seen first."""
    return [_attendant(row) for row in connection.execute(_ROSTER, (session_id,))]


def seen_since(
    connection: Connection, session_ids: Sequence[str], since: str, now: str
) -> dict[str, list[Seen]]:
    """Who was seen in each of some sessions since a time or waits there, as it is stored."""
    found: dict[str, list[Seen]] = {}
    names = msgspec.json.encode(session_ids).decode()
    rows = connection.execute(_SEEN_SINCE, (names, since, now))
    for name, agent_id, agent_type, is_admin, at, until in rows:
        who = Audience(agent_id, agent_type, bool(is_admin))
        found.setdefault(name, []).append(Seen(who, at, (until or "") > now))
    return found


def receipts(connection: Connection, session_id: str, message_id: int) -> Receipts | None:
    """The receipts of a message; None if the session has no such message."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM messages WHERE id = ? AND session_id = ? AND deletes IS NULL",
        (message_id, session_id),
    ).fetchone()
    if row is None:
        return None
    place = (session_id, message_id)
    return Receipts(
        message_from_row(row),
        [name for (name,) in connection.execute(_MENTIONS, (message_id,))],
        roster(connection, session_id),
        dict(connection.execute(_PASSED, place).fetchall()),
        dict(connection.execute(_OUT_OF_TURN, place).fetchall()),
        [
            Reply(principal, sender_type, Visibility(visibility), at)
            for principal, sender_type, visibility, at in connection.execute(
                _REPLIES, (message_id,)
            )
        ],
    )


def roster_of(connection: Connection, session_id: str, names: Sequence[str]) -> list[Audience]:
    """Those of some principals (``names``, in lower case) that were in a session."""
    rows = connection.execute(_NAMED, (session_id, msgspec.json.encode(names).decode()))
    return [Audience(name, agent_type, bool(is_admin)) for name, agent_type, is_admin in rows]


def _attendant(row: Sequence[Any]) -> RosterEntry:
    audience = Audience(row[0], row[1], bool(row[2]))
    return RosterEntry(audience, row[3], row[4], ReadPosition(row[5], row[6]), row[7])
