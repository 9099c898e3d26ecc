"""Reads of memory. They are given the time, and expired entries are invisible to them."""

from typing import Final, NamedTuple

import msgspec

from mcp_node.log.sql import Connection
from mcp_node.memory.rows import ALIVE, AT, EXPIRED, EntryKey
from mcp_node.sessions.reads import session
from proto.errors import MemoryNotFound

_AFTER_EVERY_KEY: Final = "\U0010ffff"
"""Sorts after every key: it is not a character and never will be."""

_ENTRY: Final = "key, session_id, bytes, updated_at, expires_at"
_GET: Final = f"SELECT {_ENTRY}, value FROM memory WHERE {AT} AND {ALIVE}"
_ROW: Final = f"SELECT {_ENTRY}, value FROM memory WHERE rowid = ?"
_LIST: Final = (
    f"SELECT {_ENTRY} FROM memory WHERE principal = ?"
    f" AND session_id = ? AND key >= ? AND key < ? AND key <> ? AND {ALIVE} ORDER BY key LIMIT ?"
)
_NEWEST: Final = (
    "SELECT rowid, session_id, bytes FROM memory WHERE principal = ?"
    f" AND {ALIVE} ORDER BY updated_at DESC, rowid DESC"
)


class Entry(NamedTuple):
    """An entry without its value. ``bytes`` is the size of the value as JSON."""

    key: str
    session_id: str
    bytes: int
    updated_at: float
    expires_at: float | None


class Memo(NamedTuple):
    """An entry with its value."""

    entry: Entry
    value: msgspec.Raw


def get(connection: Connection, entry_key: EntryKey, now: float) -> Memo:
    """One entry with its value.

    Raises:
        SessionNotFound: its session does not exist.
        MemoryNotFound: there is no such entry.
    """
    _check_session(connection, entry_key)
    row = connection.execute(_GET, (*entry_key, now)).fetchone()
    if row is None:
        raise MemoryNotFound
    return _memo(row)


def entries(
    connection: Connection, entry_key: EntryKey, now: float, *, after: str, limit: int
) -> tuple[list[Entry], bool]:
    """Entries in key order (by code points), and whether there are more.

    Args:
        connection: to read from.
        entry_key: the principal, the session, and as ``key`` the prefix of the keys to list.
        now: seconds of Unix time.
        after: list only keys after this one.
        limit: the most entries to return.

    Raises:
        SessionNotFound: its session does not exist.
    """
    _check_session(connection, entry_key)
    principal, session_id, prefix = entry_key
    first = max(prefix, after)
    bounds = (principal, session_id, first, prefix + _AFTER_EVERY_KEY, after, now, limit + 1)
    found = [Entry(*row) for row in connection.execute(_LIST, bounds)]
    return found[:limit], len(found) > limit


def newest(
    connection: Connection,
    principal: str,
    now: float,
    *,
    within: frozenset[str] | None,
    limit: int,
    most_bytes: int,
) -> tuple[list[Memo], bool]:
    """The most recently written entries of all sessions, and whether there are more.

    Args:
        connection: to read from.
        principal: whose memory.
        now: seconds of Unix time.
        within: the sessions to include, besides entries of no session; None for all.
        limit: the most entries to return.
        most_bytes: limit on the total size of their values. The first is returned even if it is
            larger.
    """
    chosen: list[int] = []
    size = 0
    for rowid, session_id, held in connection.execute(_NEWEST, (principal, now)):
        if within is not None and session_id and session_id not in within:
            continue
        size += held
        if len(chosen) == limit or (chosen and size > most_bytes):
            return _memos(connection, chosen), True
        chosen.append(rowid)
    return _memos(connection, chosen), False


def any_expired(connection: Connection, now: float) -> bool:
    """Whether there is anything to sweep."""
    return connection.execute(EXPIRED, (now, 1)).fetchone() is not None


def _check_session(connection: Connection, entry_key: EntryKey) -> None:
    if entry_key.session_id:
        session(connection, entry_key.session_id)


def _memo(row: tuple[str, str, int, float, float | None, str]) -> Memo:
    return Memo(Entry(*row[:5]), msgspec.Raw(row[5].encode()))


def _memos(connection: Connection, rowids: list[int]) -> list[Memo]:
    return [_memo(connection.execute(_ROW, (rowid,)).fetchone()) for rowid in rowids]
