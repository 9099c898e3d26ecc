"""Memory: what a principal keeps for itself, for ever or for a while."""

import asyncio
import logging
import time
from functools import partial
from typing import Any, Final

import msgspec

from mcp_node.log.interface import Database
from mcp_node.memory import rows as stored
from mcp_node.memory.rows import (
    Clock,
    DeleteMemory,
    Entry,
    EntryKey,
    Memo,
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
"""How long the rows of what has expired may stay; nobody sees them meanwhile."""

NEWEST_ENTRIES: Final = 100
NEWEST_BYTES: Final = 65_536
"""The most that `Memory.newest` gives, except that one larger value is always given."""

_GUEST: Final = "guest"

logger = logging.getLogger(__name__)


class Memory:
    """Keys and values of each principal, in no session or in one.

    Nobody but the principal reaches them, admins included; its sub-agents share them. They are of
    verified principals only: where AUTH=off, whoever calls itself alice would read what alice
    keeps. Guests have none.

    Every method takes the asking principal first and raises `Forbidden` if that has no memory or
    lacks the scope (``read`` or ``write``), `InvalidInput` for arguments out of bounds, and
    `SessionNotFound` for a session that does not exist or that its token does not cover. Writes
    may also raise `RateLimited`, `Overloaded` and `Unavailable`; cancelling one leaves open whether
    it was stored. What has expired does not exist, to the moment, by the system's clock.

    Args:
        database: where it is kept.
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
        self._quota = MemoryLimits(
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
        """Remember a value; it is durable when this returns.

        Raises:
            MemoryExists: there is one, and ``overwrite`` is false.
            RateLimited: also when the principal's quota would be exceeded.
        """
        self._rights.may_write(principal)
        place = _place(principal, session_id, check_key(key), "write")
        if not isinstance(overwrite, bool):
            raise InvalidInput("overwrite must be true or false.")
        seconds = None if expires_in is None else duration_seconds(expires_in, "expires_in")
        operation = SetMemory(
            place,
            check_memory_value(value, self._settings),
            seconds,
            overwrite=overwrite,
            quota=self._quota,
            clock=self._clock,
        )
        written = await self._database.write(operation)
        return {
            "created": written.created,
            "updated_at": utc(written.updated_at),
            "expires_at": _moment(written.expires_at),
        }

    async def get(self, principal: Principal, key: Any, session_id: Any = None) -> dict[str, Any]:
        """What is remembered under a key.

        Raises:
            MemoryNotFound: nothing, or not any more.
        """
        need(principal, "read")
        place = _place(principal, session_id, check_key(key), "read")
        memo = await self._database.read(
            lambda connection: stored.get(connection, place, self._clock())
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
        """Keys without their values, in order of code points."""
        need(principal, "read")
        beginning = "" if prefix in (None, "") else _check_chars(prefix, "prefix")
        last = "" if after is None else check_key(after, "after")
        place = _place(principal, session_id, beginning, "read")
        most = checks.check_limit(limit)
        found, has_more = await self._database.read(
            lambda connection: stored.entries(
                connection, place, self._clock(), after=last, limit=most
            )
        )
        return {"memories": [_without_value(entry) for entry in found], "has_more": has_more}

    async def delete(
        self, principal: Principal, key: Any, session_id: Any = None
    ) -> dict[str, Any]:
        """Forget what is under a key; that nothing was is no error, so that a retry is safe."""
        self._rights.may_write(principal)
        place = _place(principal, session_id, check_key(key), "write")
        return {"deleted": await self._database.write(DeleteMemory(place, self._clock))}

    async def newest(self, principal: Principal) -> dict[str, Any]:
        """The latest written with their values, of no session and of all it may enter."""
        need(principal, "read")
        _check_owner(principal)
        found, has_more = await self._database.read(
            lambda connection: stored.newest(
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
        """Drop the rows of all that has expired, a few in one transaction; how many there were.

        Raises:
            Overloaded, Unavailable: not now.
        """
        swept = 0
        while await self._database.read(partial(stored.any_expired, now=self._clock())):
            swept += await self._database.write(SweepMemory(self._clock))
        return swept

    async def sweep_for_ever(self, every: float = SWEEP_SECONDS) -> None:
        """Sweep every so many seconds; cancel to stop."""
        while True:
            await asyncio.sleep(every)
            try:
                if swept := await self.sweep():
                    logger.debug("swept %d expired memories", swept)
            except PartylineError as error:
                logger.warning("expired memories stay for now: %s", error.code)


def check_key(key: Any, what: str = "key") -> str:
    """A key: 1 to 128 printable characters (spaces too, but not first or last).

    Printable as Python's ``str.isprintable`` has it: no control, format or unassigned characters
    and no separators but the space, so that two keys that look alike are hardly ever different.

    Raises:
        InvalidInput: it is not.
    """
    text = _check_chars(key, what)
    if text != text.strip(" "):
        raise InvalidInput(f"{what} must not begin or end with a space.")
    return text


def check_memory_value(value: Any, settings: Settings) -> msgspec.Raw:
    """Any JSON value within MAX_MEMORY_VALUE_BYTES and MAX_METADATA_DEPTH, encoded.

    Raises:
        InvalidInput: it is no strict JSON, or nested too deep.
        TooLarge: it has more bytes.
    """
    check_value(value, "value", max_depth=settings.max_metadata_depth)
    encoded = msgspec.json.encode(value)
    if len(encoded) > settings.max_memory_value_bytes:
        raise TooLarge(
            f"value has more than {settings.max_memory_value_bytes} bytes as JSON.",
            "Store less, or split it over several keys.",
        )
    return msgspec.Raw(encoded)


def _check_chars(text: Any, what: str) -> str:
    if not isinstance(text, str) or not 1 <= len(text) <= KEY_CHARS or not text.isprintable():
        raise InvalidInput(f"{what} must be 1 to {KEY_CHARS} printable characters.")
    return text


def _place(principal: Principal, session_id: Any, key: str, scope: str) -> EntryKey:
    _check_owner(principal)
    session = "" if session_id is None else entered(principal, session_id, scope)
    return EntryKey(principal.agent_id, session, key)


def has_memory(principal: Principal) -> bool:
    """Whether somebody is known well enough to keep something."""
    return bool(principal.token_id) and principal.agent_type != _GUEST


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
