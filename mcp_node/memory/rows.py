"""Writes of memory: setting, deleting, and sweeping expired entries.

Expired entries are invisible even before the sweep deletes them. An operation asks its clock when
it runs, not when it was submitted.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from mcp_node.log.transaction import Transaction
from mcp_node.sessions.states import SessionStates
from proto.errors import MemoryExists, RateLimited, SessionNotFound

Clock = Callable[[], float]
"""Seconds of Unix time."""

SWEEP_ENTRIES: Final = 64
SWEEP_BYTES: Final = 262_144
"""Limits of one sweep operation, which keep it to a few milliseconds. A single larger value is
swept alone."""

_ROW_BYTES: Final = 512
"""What a pending write holds besides its value."""

AT: Final = "principal = ? AND session_id = ? AND key = ?"
ALIVE: Final = "(expires_at IS NULL OR expires_at > ?)"
EXPIRED: Final = "SELECT rowid, bytes FROM memory WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"

_HELD: Final = f"SELECT bytes FROM memory WHERE {AT} AND {ALIVE}"
_DELETE: Final = f"DELETE FROM memory WHERE {AT}"
# Two SELECTs instead of an OR: each is a range of the index on principal and expiry.
_TOTAL: Final = (
    "SELECT count(*), ifnull(sum(bytes), 0) FROM ("
    "SELECT bytes FROM memory WHERE principal = :principal AND expires_at IS NULL"
    " UNION ALL SELECT bytes FROM memory WHERE principal = :principal AND expires_at > :now"
    ") AS alive"
)
_SET: Final = (
    "INSERT INTO memory (principal, session_id, key, bytes, updated_at, expires_at, value)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)


class EntryKey(NamedTuple):
    """Identifies an entry. ``session_id`` is empty for an entry of no session."""

    principal: str
    session_id: str
    key: str


class MemoryLimits(NamedTuple):
    """Limits for one principal: the number of entries, and the total size of their values."""

    entries: int
    bytes: int


class Written(NamedTuple):
    """The result of a write: whether the entry is new, and its times."""

    created: bool
    updated_at: float
    expires_at: float | None


class SetMemory:
    """Set an entry.

    Args:
        entry_key: the entry.
        value: its value as JSON.
        seconds: its lifetime, counted from when it is written; None: it does not expire.
        overwrite: whether it may replace an existing value.
        limits: of its principal.
        clock: asked when it is written.
    """

    def __init__(
        self,
        entry_key: EntryKey,
        value: msgspec.Raw,
        seconds: int | None,
        *,
        overwrite: bool,
        limits: MemoryLimits,
        clock: Clock,
    ) -> None:
        self._entry_key = entry_key
        self._value = bytes(value)
        self._seconds = seconds
        self._overwrite = overwrite
        self._limits = limits
        self._clock = clock
        self.size = _ROW_BYTES + len(self._value)

    def apply(self, transaction: Transaction) -> Written:
        """Write the entry.

        Raises:
            SessionNotFound: its session does not exist.
            MemoryExists: there is a value already, and ``overwrite`` is false.
            RateLimited: its principal's limits would be exceeded.
        """
        now = self._clock()
        _check_session(transaction, self._entry_key)
        held = transaction.read(_HELD, (*self._entry_key, now)).fetchone()
        if held is not None and not self._overwrite:
            raise MemoryExists
        self._check_limits(transaction, now, held)
        expires_at = None if self._seconds is None else now + self._seconds
        row = (*self._entry_key, len(self._value), now, expires_at, self._value.decode())
        transaction.write(_DELETE, self._entry_key)
        transaction.write(_SET, row)
        return Written(held is None, now, expires_at)

    def _check_limits(self, transaction: Transaction, now: float, held: tuple[int] | None) -> None:
        whose = {"principal": self._entry_key.principal, "now": now}
        entries, size = transaction.read(_TOTAL, whose).fetchone()
        entries += held is None
        size += len(self._value) - (held[0] if held else 0)
        if entries > self._limits.entries:
            raise _full("keys", "ENTRIES")
        if size > self._limits.bytes:
            raise _full("bytes", "BYTES")


class DeleteMemory:
    """Delete an entry."""

    size = _ROW_BYTES

    def __init__(self, entry_key: EntryKey, clock: Clock) -> None:
        self._entry_key = entry_key
        self._clock = clock

    def apply(self, transaction: Transaction) -> bool:
        """Delete the entry; return whether it existed.

        Raises:
            SessionNotFound: its session does not exist.
        """
        _check_session(transaction, self._entry_key)
        held = transaction.read(_HELD, (*self._entry_key, self._clock())).fetchone()
        transaction.write(_DELETE, self._entry_key)
        return held is not None


class SweepMemory:
    """Delete some of the expired entries, those that expired first."""

    size = _ROW_BYTES

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def apply(self, transaction: Transaction) -> int:
        """Delete them; return how many."""
        rows = transaction.read(EXPIRED, (self._clock(), SWEEP_ENTRIES)).fetchall()
        swept = size = 0
        for rowid, held in rows:
            size += held
            if swept and size > SWEEP_BYTES:
                break
            transaction.write("DELETE FROM memory WHERE rowid = ?", (rowid,))
            swept += 1
        return swept


def _check_session(transaction: Transaction, entry_key: EntryKey) -> None:
    if entry_key.session_id:
        states = transaction.companion(SessionStates)
        if states.of(transaction, entry_key.session_id) is None:
            raise SessionNotFound


def _full(what: str, setting: str) -> RateLimited:
    return RateLimited(
        f"Your memory would hold more {what} than one principal may store.",
        "Delete what you no longer need (list_memory shows it), let entries expire, or ask the"
        f" operator to raise PARTYLINE_MAX_MEMORY_{setting}_PER_PRINCIPAL.",
    )
