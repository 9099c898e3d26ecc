"""What principals remember: how it is kept, counted, read, and how it goes.

Expired entries are invisible even before the sweep deletes them. A read is given the time; an
operation asks its clock when it runs, not when it was submitted.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Transaction
from mcp_node.sessions import reads
from mcp_node.sessions.states import SessionStates
from proto.errors import MemoryExists, MemoryNotFound, RateLimited, SessionNotFound

Clock = Callable[[], float]
"""Seconds of Unix time."""

SWEEP_ENTRIES: Final = 64
SWEEP_BYTES: Final = 262_144
"""What one operation sweeps at most (a single larger value goes alone): a few milliseconds."""

_ROW_BYTES: Final = 512
"""What a pending write holds besides its value."""

_AFTER_EVERY_KEY: Final = "\U0010ffff"
"""Sorts behind whatever a key may hold: it is no character, and never will be."""

_AT: Final = "principal = ? AND session_id = ? AND key = ?"
_ALIVE: Final = "(expires_at IS NULL OR expires_at > ?)"

_HELD: Final = f"SELECT bytes FROM memory WHERE {_AT} AND {_ALIVE}"
_GET: Final = (
    f"SELECT key, session_id, bytes, updated_at, expires_at, value FROM memory WHERE {_AT}"
    f" AND {_ALIVE}"
)
_TAKEN: Final = (
    "SELECT count(*), ifnull(sum(bytes), 0) FROM ("
    "SELECT bytes FROM memory WHERE principal = :principal AND expires_at IS NULL"
    " UNION ALL SELECT bytes FROM memory WHERE principal = :principal AND expires_at > :now"
    ") AS alive"
)
_SET: Final = (
    "INSERT INTO memory (principal, session_id, key, bytes, updated_at, expires_at, value)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_DELETE: Final = f"DELETE FROM memory WHERE {_AT}"
_LIST: Final = (
    "SELECT key, session_id, bytes, updated_at, expires_at FROM memory WHERE principal = ?"
    f" AND session_id = ? AND key >= ? AND key < ? AND key <> ? AND {_ALIVE} ORDER BY key LIMIT ?"
)
_NEWEST: Final = (
    "SELECT rowid, session_id, bytes FROM memory WHERE principal = ?"
    f" AND {_ALIVE} ORDER BY updated_at DESC, rowid DESC"
)
_ROW: Final = (
    "SELECT key, session_id, bytes, updated_at, expires_at, value FROM memory WHERE rowid = ?"
)
_EXPIRED: Final = (
    "SELECT rowid, bytes FROM memory WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
)


class EntryKey(NamedTuple):
    """Where something is remembered; ``session_id`` is empty for what belongs to no session."""

    principal: str
    session_id: str
    key: str


class MemoryLimits(NamedTuple):
    """The most a principal may hold: keys, and bytes of all values together."""

    entries: int
    bytes: int


class Entry(NamedTuple):
    """Something remembered, without its value. ``bytes`` are those of the value as JSON."""

    key: str
    session_id: str
    bytes: int
    updated_at: float
    expires_at: float | None


class Memo(NamedTuple):
    """Something remembered, with its value."""

    entry: Entry
    value: msgspec.Raw


class Written(NamedTuple):
    """What became of a write: whether there was nothing before, and the times of the entry."""

    created: bool
    updated_at: float
    expires_at: float | None


class SetMemory:
    """Remember a value.

    Args:
        place: where.
        value: JSON.
        seconds: how long, from when it is written; None for ever.
        overwrite: whether it may take the place of another value.
        quota: of its principal.
        clock: asked when it is written.
    """

    def __init__(
        self,
        place: EntryKey,
        value: msgspec.Raw,
        seconds: int | None,
        *,
        overwrite: bool,
        quota: MemoryLimits,
        clock: Clock,
    ) -> None:
        self._place = place
        self._value = bytes(value)
        self._seconds = seconds
        self._overwrite = overwrite
        self._quota = quota
        self._clock = clock
        self.size = _ROW_BYTES + len(self._value)

    def apply(self, transaction: Transaction) -> Written:
        """Write it.

        Raises:
            SessionNotFound: its session does not exist.
            MemoryExists: there is another value, which is not to be overwritten.
            RateLimited: its principal would hold more than its quota.
        """
        now = self._clock()
        _check_session(transaction, self._place)
        held = transaction.read(_HELD, (*self._place, now)).fetchone()
        if held is not None and not self._overwrite:
            raise MemoryExists
        self._check_quota(transaction, now, held)
        expires_at = None if self._seconds is None else now + self._seconds
        row = (*self._place, len(self._value), now, expires_at, self._value.decode())
        transaction.write(_DELETE, self._place)
        transaction.write(_SET, row)
        return Written(held is None, now, expires_at)

    def _check_quota(self, transaction: Transaction, now: float, held: tuple[int] | None) -> None:
        entries, size = transaction.read(
            _TAKEN, {"principal": self._place.principal, "now": now}
        ).fetchone()
        entries += held is None
        size += len(self._value) - (held[0] if held else 0)
        if entries > self._quota.entries:
            raise _full("keys", "ENTRIES")
        if size > self._quota.bytes:
            raise _full("bytes", "BYTES")


class DeleteMemory:
    """Forget what is at a place."""

    size = _ROW_BYTES

    def __init__(self, place: EntryKey, clock: Clock) -> None:
        self._place = place
        self._clock = clock

    def apply(self, transaction: Transaction) -> bool:
        """Whether there was anything.

        Raises:
            SessionNotFound: its session does not exist.
        """
        _check_session(transaction, self._place)
        held = transaction.read(_HELD, (*self._place, self._clock())).fetchone()
        transaction.write(_DELETE, self._place)
        return held is not None


class SweepMemory:
    """Drop the rows of some of what has expired, the longest expired first."""

    size = _ROW_BYTES

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def apply(self, transaction: Transaction) -> int:
        """How many."""
        rows = transaction.read(_EXPIRED, (self._clock(), SWEEP_ENTRIES)).fetchall()
        swept = size = 0
        for rowid, held in rows:
            size += held
            if swept and size > SWEEP_BYTES:
                break
            transaction.write("DELETE FROM memory WHERE rowid = ?", (rowid,))
            swept += 1
        return swept


def get(connection: Connection, place: EntryKey, now: float) -> Memo:
    """What is at a place.

    Raises:
        SessionNotFound: its session does not exist.
        MemoryNotFound: nothing is there.
    """
    if place.session_id:
        reads.session(connection, place.session_id)
    row = connection.execute(_GET, (*place, now)).fetchone()
    if row is None:
        raise MemoryNotFound
    return _memo(row)


def entries(
    connection: Connection, place: EntryKey, now: float, *, after: str, limit: int
) -> tuple[list[Entry], bool]:
    """Entries by key (code points), and whether there are more.

    Args:
        connection: to read from.
        place: whose, in which session; ``key`` is what their keys begin with.
        now: seconds of Unix time.
        after: only keys behind this one.
        limit: how many at most.

    Raises:
        SessionNotFound: its session does not exist.
    """
    if place.session_id:
        reads.session(connection, place.session_id)
    principal, session_id, prefix = place
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
    """The latest written, of every session, and whether there are more.

    Args:
        connection: to read from.
        principal: whose.
        now: seconds of Unix time.
        within: the sessions it may enter besides none; None for all.
        limit: how many at most.
        most_bytes: of their values together; a larger first one is given all the same.
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
    return connection.execute(_EXPIRED, (now, 1)).fetchone() is not None


def _check_session(transaction: Transaction, place: EntryKey) -> None:
    if place.session_id:
        states = transaction.companion(SessionStates)
        if states.of(transaction, place.session_id) is None:
            raise SessionNotFound


def _full(what: str, setting: str) -> RateLimited:
    return RateLimited(
        f"Your memory would hold more {what} than one principal may.",
        "Delete what you no longer need (list_memory shows it), let things expire, or ask the"
        f" operator to raise PARTYLINE_MAX_MEMORY_{setting}_PER_PRINCIPAL.",
    )


def _memo(row: tuple[str, str, int, float, float | None, str]) -> Memo:
    return Memo(Entry(*row[:5]), msgspec.Raw(row[5].encode()))


def _memos(connection: Connection, rowids: list[int]) -> list[Memo]:
    return [_memo(connection.execute(_ROW, (rowid,)).fetchone()) for rowid in rowids]
