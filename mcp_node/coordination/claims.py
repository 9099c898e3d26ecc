"""Claims: who works on what in a session, so that two do not do the same."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from mcp_node.coordination.claim_rows import ClaimNames, Clock, NewClaim, ReleaseNames, claims_of
from mcp_node.coordination.overlap import normalized
from mcp_node.log.interface import Database
from mcp_node.sessions import reads
from mcp_node.sessions.authorization import Rights, entered, named, need
from mcp_node.sessions.checks import check_printable
from proto.errors import InvalidInput, TooLarge
from proto.messages import Principal
from proto.strictjson import check_text

MOST_NAMES: Final = 20
NAME_CHARS: Final = 128
NOTE_CHARS: Final = 500
LONGEST_MINUTES: Final = 1_440
"""Bounds of one claim."""


class Claims:
    """Claims names in sessions. They are advisory: nothing is refused but overlapping claims.

    A claim ends with its time, when the token it was made with is revoked, or when it is released.
    Methods raise as those of `Sessions` do.

    Args:
        database: where claims are stored.
        rights: counts the writes.
        seen: called when a principal was active in a session.
        clock: seconds of Unix time.
    """

    def __init__(
        self,
        database: Database,
        rights: Rights,
        seen: Callable[[Principal, str], None],
        *,
        clock: Clock = time.time,
    ) -> None:
        self._database = database
        self._rights = rights
        self._seen = seen
        self._clock = clock

    async def claim(
        self, principal: Principal, session_id: Any, names: Any, minutes: Any = 30, note: Any = ""
    ) -> dict[str, Any]:
        """Claim names, all or none. Names that the principal has are renewed.

        Args:
            principal: who claims.
            session_id: the session.
            names: 1 to 20 words, paths or globs of at most 128 characters (`overlap`).
            minutes: how long, 1 to 1,440.
            note: what for; at most 500 characters.

        Raises:
            Claimed: a name overlaps one that somebody else has.
            SessionClosed: the session is closed.
            RateLimited: too many writes (each name counts as one), or too many names.
        """
        need(principal, "write")
        checked = _check_names(names)
        # Each name is compared with every name that is claimed, while other writes wait.
        self._rights.may_write(principal, len(checked))
        named(principal, "claiming")
        name = entered(principal, session_id, "write")
        new = NewClaim(name, checked, principal, check_minutes(minutes) * 60, _check_note(note))
        claim = await self._database.write(ClaimNames(new, self._clock))
        self._seen(principal, name)
        return claim.shown()

    async def release(
        self, principal: Principal, session_id: Any, names: Any = None
    ) -> dict[str, Any]:
        """Release names, all of the principal's if ``names`` is None; tell which were claimed.

        Admins, people and guests can also name what others have. Names that the principal cannot
        release, or that nobody has, are left out: so a retry is safe.
        """
        self._rights.may_write(principal)
        named(principal, "claiming")
        name = entered(principal, session_id, "write")
        checked = None if names is None else _check_names(names)
        anybodys = checked is not None and (principal.is_admin or principal.by_link)
        holder = None if anybodys else principal.agent_id
        released = await self._database.write(ReleaseNames(name, checked, holder, self._clock))
        self._seen(principal, name)
        return {"released": released}

    async def of(self, session_id: str) -> list[dict[str, Any]]:
        """The claims in force in a session, those that end first first. Rights are not checked."""
        now = self._clock()
        found = await self._database.read(partial(claims_of, session_id=session_id, now=now))
        return [claim.shown() for claim in found]

    async def list(self, principal: Principal, session_id: Any) -> dict[str, Any]:
        """The claims in force in a session; ``mine``: those of the principal."""
        name = entered(principal, session_id, "read")
        await self._database.read(partial(reads.session, session_id=name))
        claims = await self.of(name)
        return {"claims": [{**one, "mine": one["holder"] == principal.agent_id} for one in claims]}


def _check_names(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not 1 <= len(names) <= MOST_NAMES:
        raise InvalidInput(f"names must be a list of 1 to {MOST_NAMES} words or paths.")
    checked = [normalized(check_printable(name, "Each of names", NAME_CHARS)) for name in names]
    return tuple(dict.fromkeys(checked))


def check_minutes(minutes: Any) -> float:
    """A number of minutes from 1 to 1,440."""
    number = isinstance(minutes, int | float) and not isinstance(minutes, bool)
    if not number or not 1 <= minutes <= LONGEST_MINUTES:
        raise InvalidInput(f"minutes must be a number from 1 to {LONGEST_MINUTES}.")
    return float(minutes)


def _check_note(note: Any) -> str:
    if not isinstance(note, str):
        raise InvalidInput("note must be a string.")
    if len(note) > NOTE_CHARS:
        raise TooLarge(f"note has more than {NOTE_CHARS} characters.")
    check_text(note, "note")
    return note
