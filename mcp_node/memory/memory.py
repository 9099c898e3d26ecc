"""Memory: the key-value store of each principal, with optional expiry."""

import asyncio
import logging
import time
from functools import partial
from typing import Any, Final

import msgspec

from mcp_node.log.interface import Database
from mcp_node.memory import reads
from mcp_node.memory.reads import Entry, Memo
from mcp_node.memory.rows import (
    Clock,
    DeleteMemory,
    EntryKey,
    MemoryLimits,
    SetMemory,
    SweepMemory,
)
from mcp_node.sessions import checks
from mcp_node.sessions.authorization import Rights, entered, need
from mcp_node.sessions.durations import duration_seconds
from proto.errors import Forbidden, InvalidInput, PartylineError, TooLarge
from proto.hidden import hidden_characters, hidden_in_json
from proto.messages import Principal, utc
from proto.settings import Settings
from proto.strictjson import check_value

KEY_CHARS: Final = 128
SWEEP_SECONDS: Final = 5.0
"""Interval between sweeps. Expired entries are invisible even before the sweep."""

NEWEST_ENTRIES: Final = 100
NEWEST_BYTES: Final = 65_536
"""Limits of `Memory.newest`. A single larger value is returned alone."""

logger = logging.getLogger(__name__)


class Memory:
    """Keys and values of each principal, per session or outside all sessions.

    Only the principal and its sub-agents can access them, not even admins. Only verified
    principals have a memory: with AUTH=off, any caller could use the name alice and read what
    alice stored. Guests have none.

    Every method takes the calling principal first. It raises `Forbidden` if that principal has no
    memory or lacks the scope (``read`` or ``write``), `InvalidInput` for arguments out of bounds,
    and `SessionNotFound` for a session that does not exist or that its token does not cover.
    Writes may also raise `RateLimited`, `Overloaded` and `Unavailable`; a cancelled write may or
    may not have been stored. An entry is invisible from the moment it expires, by the system's
    clock.

    Args:
        database: where entries are stored.
        settings: the limits.
        rights: the checks shared with other services.
        clock: seconds of Unix time.
    """

    def __init__(
        self, database: Database, settings: Settings, rights: Rights, *, clock: Clock = time.time
    ) -> None:
        self._database = database
        self._settings = settings
        self._rights = rights
        self._clock = clock
        self._limits = MemoryLimits(
            settings.max_memory_entries_per_principal, settings.max_memory_bytes_per_principal
        )

    async def set(
        self,
        principal: Principal,
        key: Any,
        value: Any,
        session_id: Any = None,
        expires_in: Any = None,
        overwrite: Any = True,
    ) -> dict[str, Any]:
        """Set a key. It is durable when this returns.

        Raises:
            MemoryExists: the key exists, and ``overwrite`` is false.
            RateLimited: too many writes, or the principal's memory limits would be exceeded.
        """
        self._rights.may_write(principal)
        entry_key = _entry_key(principal, session_id, check_key(key), "write")
        if not isinstance(overwrite, bool):
            raise InvalidInput("overwrite must be true or false.")
        seconds = None if expires_in is None else duration_seconds(expires_in, "expires_in")
        operation = SetMemory(
            entry_key,
            check_memory_value(value, self._settings),
            seconds,
            overwrite=overwrite,
            limits=self._limits,
            clock=self._clock,
        )
        written = await self._database.write(operation)
        return {
            "created": written.created,
            "updated_at": utc(written.updated_at),
            "expires_at": _moment(written.expires_at),
        }

    async def get(self, principal: Principal, key: Any, session_id: Any = None) -> dict[str, Any]:
        """Get the value of a key.

        Raises:
            MemoryNotFound: the key does not exist, or has expired.
        """
        need(principal, "read")
        entry_key = _entry_key(principal, session_id, check_key(key), "read")
        memo = await self._database.read(
            lambda connection: reads.get(connection, entry_key, self._clock())
        )
        return _with_value(memo)

    async def list(
        self,
        principal: Principal,
        prefix: Any = "",
        session_id: Any = None,
        after: Any = None,
        limit: Any = 50,
    ) -> dict[str, Any]:
        """List keys without their values, ordered by code points."""
        need(principal, "read")
        beginning = "" if prefix in (None, "") else _check_chars(prefix, "prefix")
        last = "" if after is None else check_key(after, "after")
        entry_key = _entry_key(principal, session_id, beginning, "read")
        most = checks.check_limit(limit)
        found, has_more = await self._database.read(
            lambda connection: reads.entries(
                connection, entry_key, self._clock(), after=last, limit=most
            )
        )
        return {"memories": [_without_value(entry) for entry in found], "has_more": has_more}

    async def delete(
        self, principal: Principal, key: Any, session_id: Any = None
    ) -> dict[str, Any]:
        """Delete a key. A key that does not exist is no error, so that a retry is safe."""
        self._rights.may_write(principal)
        entry_key = _entry_key(principal, session_id, check_key(key), "write")
        return {"deleted": await self._database.write(DeleteMemory(entry_key, self._clock))}

    async def newest(self, principal: Principal) -> dict[str, Any]:
        """The most recently written entries, of no session and of all sessions it may enter."""
        need(principal, "read")
        _check_owner(principal)
        found, has_more = await self._database.read(
            lambda connection: reads.newest(
                connection,
                principal.agent_id,
                self._clock(),
                within=principal.sessions,
                limit=NEWEST_ENTRIES,
                most_bytes=NEWEST_BYTES,
            )
        )
        return {"memories": [_with_value(memo) for memo in found], "has_more": has_more}

    async def sweep(self) -> int:
        """Delete all expired entries, a few in each transaction; return how many.

        Raises:
            Overloaded, Unavailable: the database cannot take the write now; retry later.
        """
        swept = 0
        while await self._database.read(partial(reads.any_expired, now=self._clock())):
            swept += await self._database.write(SweepMemory(self._clock))
        return swept

    async def sweep_for_ever(self, every: float = SWEEP_SECONDS) -> None:
        """Sweep every ``every`` seconds, until cancelled."""
        while True:
            await asyncio.sleep(every)
            try:
                if swept := await self.sweep():
                    logger.debug("swept %d expired memory entries", swept)
            except PartylineError as error:
                logger.warning("expired memory was not swept: %s; retrying", error.code)


def check_key(key: Any, what: str = "key") -> str:
    """Check a key: see `checks.check_printable`.

    Raises:
        InvalidInput: the key breaks these rules.
    """
    return checks.check_printable(key, what, KEY_CHARS)


def check_memory_value(value: Any, settings: Settings) -> msgspec.Raw:
    """Encode a JSON value, within MAX_MEMORY_VALUE_BYTES and MAX_METADATA_DEPTH.

    Raises:
        InvalidInput: it is not strict JSON, or nested too deep.
        TooLarge: it is too large.
    """
    check_value(value, "value", max_depth=settings.max_metadata_depth)
    encoded = msgspec.json.encode(value)
    if len(encoded) > settings.max_memory_value_bytes:
        raise TooLarge(
            f"value has more than {settings.max_memory_value_bytes} bytes as JSON.",
            "Store less, or split it across several keys.",
        )
    return msgspec.Raw(encoded)


def _check_chars(text: Any, what: str) -> str:
    if not isinstance(text, str) or not 1 <= len(text) <= KEY_CHARS or not text.isprintable():
        raise InvalidInput(f"{what} must be 1 to {KEY_CHARS} printable characters.")
    return text


def _entry_key(principal: Principal, session_id: Any, key: str, scope: str) -> EntryKey:
    _check_owner(principal)
    session = "" if session_id is None else entered(principal, session_id, scope)
    return EntryKey(principal.agent_id, session, key)


def has_memory(principal: Principal) -> bool:
    """Whether a principal has a memory: it is verified, and not a guest."""
    return bool(principal.token_id) and not principal.is_guest


def _check_owner(principal: Principal) -> None:
    if not has_memory(principal):
        raise Forbidden(
            "Only agents with a token of their own have a memory.",
            "Ask the operator for a token ('partyline token' makes one).",
        )


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else utc(seconds)


def _without_value(entry: Entry) -> dict[str, Any]:
    shown = {
        "key": entry.key,
        "bytes": entry.bytes,
        "updated_at": utc(entry.updated_at),
        "expires_at": _moment(entry.expires_at),
    }
    return _counted(shown, hidden_characters(entry.key))


def _with_value(memo: Memo) -> dict[str, Any]:
    entry = memo.entry
    shown = {
        "key": entry.key,
        "value": msgspec.json.decode(memo.value),
        "session_id": entry.session_id or None,
        "updated_at": utc(entry.updated_at),
        "expires_at": _moment(entry.expires_at),
    }
    hidden = hidden_characters(entry.key) + hidden_in_json(bytes(memo.value))
    return _counted(shown, hidden)


def _counted(shown: dict[str, Any], hidden: int) -> dict[str, Any]:
    return {**shown, "hidden_characters": hidden} if hidden else shown
