"""Who reads in a session and how far: the rows behind unread counts, receipts and agents."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from mcp_node.store import queries
from mcp_node.store.interface import Page
from mcp_node.store.transaction import Transaction
from proto.messages import Audience, Message

COUNTED: Final = 1_000
"""Unread messages are counted up to here; the count then means "so many or more"."""

_ROW_BYTES: Final = 256
_UNREAD: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM messages INDEXED BY messages_by_audience"
    " WHERE session_id = :session AND audience = :key AND id > :after AND principal <> :reader"
    f" AND deletes IS NULL AND deleted_at IS NULL LIMIT {COUNTED})"
)
_READER: Final = (
    "SELECT joined_after, position, mentions_through FROM readers"
    " WHERE session_id = ? AND principal = ?"
)
_ROSTER: Final = (
    "SELECT principal, agent_type, is_admin, first_seen, last_seen, joined_after, position,"
    " mentions_through FROM readers WHERE session_id = ? ORDER BY last_seen DESC, principal"
)
_SEEN_SINCE: Final = (
    "SELECT session_id, principal, agent_type, is_admin, last_seen FROM readers"
    " WHERE session_id IN (SELECT value FROM json_each(?)) AND last_seen >= ?"
)
_PASSED: Final = (
    "SELECT principal, min(at) FROM advances WHERE session_id = ? AND position >= ?"
    " AND by_mention = 0 GROUP BY principal"
)
_CALLED: Final = (
    "SELECT principal, at FROM advances WHERE session_id = ? AND position = ? AND by_mention = 1"
)
_SAVE: Final = """
INSERT INTO readers (session_id, principal, agent_type, is_admin, first_seen, last_seen,
                     joined_after, position, mentions_through)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (session_id, principal) DO UPDATE SET
    agent_type = excluded.agent_type, is_admin = excluded.is_admin,
    last_seen = max(last_seen, excluded.last_seen),
    joined_after = ifnull(joined_after, excluded.joined_after),
    position = CASE WHEN excluded.position IS NULL THEN position
                    ELSE max(ifnull(position, 0), excluded.position) END,
    mentions_through = max(mentions_through, excluded.mentions_through)
"""
_SAVE_SEEN: Final = """
INSERT INTO readers (session_id, principal, agent_type, is_admin, first_seen, last_seen)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (session_id, principal) DO UPDATE SET
    agent_type = excluded.agent_type, is_admin = excluded.is_admin,
    last_seen = max(last_seen, excluded.last_seen)
"""
_ADVANCE: Final = "INSERT OR IGNORE INTO advances VALUES (?, ?, ?, ?, ?)"
_MENTIONS: Final = "SELECT name FROM mentions WHERE message_id = ? ORDER BY name"
_MENTIONING: Final = (
    f"SELECT {queries.COLUMNS} FROM messages WHERE id IN (SELECT message_id FROM mentions"
    " WHERE session_id = :session AND message_id > :after"
    " AND (name = :name OR (name > :name || '/' AND name < :name || '0')))"
    " AND principal <> :reader AND deleted_at IS NULL"
    " AND (audience IN (SELECT value FROM json_each(:keys))"
    " OR (:all_types AND audience >= 't:' AND audience < 't;'))"
    " ORDER BY id LIMIT :limit"
)


class Place(msgspec.Struct, frozen=True):
    """How far somebody has read in a session.

    ``position``: everything visible up to it that came after ``joined_after`` was given;
    None when nothing was read yet. ``mentions_through``: the last mention given out of turn.
    """

    joined_after: int | None = None
    position: int | None = None
    mentions_through: int = 0


class Attendant(msgspec.Struct, frozen=True):
    """Somebody who was in a session, by principal; times are UTC."""

    audience: Audience
    first_seen: str
    last_seen: str
    place: Place


class Receipts(msgspec.Struct, frozen=True):
    """Who was in the session of a message, and when they were given it.

    ``passed``: when their position passed it; ``called``: when it was given as a mention.
    """

    message: Message
    mentions: list[str]
    attendants: list[Attendant]
    passed: dict[str, str]
    called: dict[str, str]


class Advance(msgspec.Struct, frozen=True):
    """A step of a reader: its position (or its mentions, out of turn) reached ``position``."""

    position: int
    by_mention: bool
    at: str


class Attendance(msgspec.Struct, frozen=True):
    """What is to be stored of a reader in a session."""

    session_id: str
    attendant: Attendant
    advances: list[Advance]


class SaveAttendance:
    """Store where readers are. Positions only ever grow."""

    def __init__(self, attendances: Sequence[Attendance]) -> None:
        self._attendances = attendances
        self.size = _ROW_BYTES * len(attendances)

    def apply(self, transaction: Transaction) -> None:
        """Write the rows."""
        for each in self._attendances:
            who, place = each.attendant, each.attendant.place
            audience = who.audience
            row: tuple[object, ...] = (
                each.session_id,
                audience.agent_id,
                audience.agent_type,
                audience.is_admin,
                who.first_seen,
                who.last_seen,
            )
            if place.position is None and not place.mentions_through:
                transaction.write(_SAVE_SEEN, row)
                continue
            where = (place.joined_after, place.position, place.mentions_through)
            transaction.write(_SAVE, (*row, *where))
            for step in each.advances:
                moved = (step.position, step.by_mention, step.at)
                transaction.write(_ADVANCE, (each.session_id, audience.agent_id, *moved))


class Standing(msgspec.Struct, frozen=True):
    """A reader's place, its unread messages (up to `COUNTED`), and the log's last id then."""

    place: Place
    unread: int
    head: int


def standing(
    connection: sqlite3.Connection, session_id: str, audience: Audience, place: Place | None
) -> Standing:
    """Where a reader stands; ``place`` if it is known better than the database knows it."""
    if place is None:
        row = connection.execute(_READER, (session_id, audience.agent_id)).fetchone()
        place = Place() if row is None else Place(*row)
    head = int(connection.execute(queries.HEAD).fetchone()[0])
    return Standing(place, _unread(connection, session_id, audience, place.position or 0), head)


def unread_of(
    connection: sqlite3.Connection, session_ids: Sequence[str], audience: Audience
) -> dict[str, int]:
    """The unread messages of a principal in each of some sessions, as far as it is stored."""
    return {each: standing(connection, each, audience, None).unread for each in session_ids}


def mentioning(
    connection: sqlite3.Connection, session_id: str, audience: Audience, after: int, limit: int
) -> Page:
    """Messages of others after an id that mention a principal and that it may see."""
    keys, all_types = queries.visible_keys(audience, None)
    rows = connection.execute(
        _MENTIONING,
        {
            "session": session_id,
            "after": after,
            "name": audience.agent_id.lower(),
            "reader": audience.agent_id,
            "keys": msgspec.json.encode(keys).decode(),
            "all_types": all_types,
            "limit": limit + 1,
        },
    ).fetchall()
    return Page([queries.message_from_row(row) for row in rows[:limit]], len(rows) > limit)


def roster(connection: sqlite3.Connection, session_id: str) -> list[Attendant]:
    """Everybody who was in a session, the latest first."""
    return [_attendant(row) for row in connection.execute(_ROSTER, (session_id,))]


def seen_since(
    connection: sqlite3.Connection, session_ids: Sequence[str], since: str
) -> dict[str, list[tuple[Audience, str]]]:
    """Who was seen in each of some sessions since a time, and when, as far as it is stored."""
    found: dict[str, list[tuple[Audience, str]]] = {}
    names = msgspec.json.encode(session_ids).decode()
    for name, agent_id, agent_type, is_admin, at in connection.execute(_SEEN_SINCE, (names, since)):
        found.setdefault(name, []).append((Audience(agent_id, agent_type, bool(is_admin)), at))
    return found


def receipts(connection: sqlite3.Connection, session_id: str, message_id: int) -> Receipts | None:
    """Who was given a message; None if there is no such message in that session."""
    row = connection.execute(
        f"SELECT {queries.COLUMNS} FROM messages"
        " WHERE id = ? AND session_id = ? AND deletes IS NULL",
        (message_id, session_id),
    ).fetchone()
    if row is None:
        return None
    place = (session_id, message_id)
    return Receipts(
        queries.message_from_row(row),
        [name for (name,) in connection.execute(_MENTIONS, (message_id,))],
        roster(connection, session_id),
        dict(connection.execute(_PASSED, place).fetchall()),
        dict(connection.execute(_CALLED, place).fetchall()),
    )


def _attendant(row: Sequence[Any]) -> Attendant:
    audience = Audience(row[0], row[1], bool(row[2]))
    return Attendant(audience, row[3], row[4], Place(row[5], row[6], row[7]))


def _unread(connection: sqlite3.Connection, session_id: str, audience: Audience, after: int) -> int:
    """Others' visible messages after an id, up to `COUNTED`."""
    keys, all_types = queries.visible_keys(audience, None)
    if all_types:
        found = connection.execute(queries.ALL_TYPES, {"session": session_id})
        keys.extend(key for (key,) in found)
    where = {"session": session_id, "after": after, "reader": audience.agent_id}
    count = 0
    for key in keys:
        if not key.startswith("s:"):  # private messages are one's own
            (found_here,) = connection.execute(_UNREAD, {**where, "key": key}).fetchone()
            count += found_here
            if count >= COUNTED:
                return COUNTED
    return count
