"""Claims as rows: claiming and releasing names, and reading the claims of a session.

A row counts while it has not expired and the token it was made with is not revoked. Other rows are
deleted when somebody claims.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import msgspec

from mcp_node.coordination.overlap import overlap
from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Transaction
from mcp_node.sessions.states import SessionStates
from proto.errors import Claimed, RateLimited, SessionClosed, SessionNotFound
from proto.hidden import hidden_characters
from proto.messages import Principal, utc

Clock = Callable[[], float]
"""Seconds of Unix time."""

MOST_IN_SESSION: Final = 100
MOST_OF_PRINCIPAL: Final = 100
"""The most names that are claimed in a session, and by a principal in all sessions."""

TOLD: Final = 20
"""The most claims that `Claimed` contains."""

_COLUMNS: Final = "name, principal, note, expires_at"
_IN_FORCE: Final = (
    "expires_at > :now AND NOT EXISTS (SELECT 1 FROM revocations"
    " WHERE revocations.token_id = claims.token_id OR (revocations.agent_id = claims.principal"
    " AND revocations.issued_until >= claims.issued_at))"
)
_OF_SESSION: Final = f"SELECT {_COLUMNS} FROM claims WHERE session_id = :session AND {_IN_FORCE}"
_COUNT_OF_PRINCIPAL: Final = (
    "SELECT count(*) FROM claims WHERE principal = :principal AND expires_at > :now"
    " AND session_id <> :session"
)
_DELETE_ENDED: Final = (
    f"DELETE FROM claims WHERE expires_at <= :now OR (session_id = :session AND NOT ({_IN_FORCE}))"
)
_DELETE: Final = "DELETE FROM claims WHERE session_id = ? AND name = ?"
_INSERT: Final = (
    "INSERT INTO claims (session_id, name, principal, token_id, issued_at, note, expires_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)


class Claim(msgspec.Struct, frozen=True):
    """Names that somebody claims.

    Attributes:
        names: in order.
        holder: the principal.
        until: seconds of Unix time.
        note: what the holder says of it; may be empty.
    """

    names: tuple[str, ...]
    holder: str
    until: float
    note: str

    def shown(self) -> dict[str, Any]:
        """The claim as tools and REST show it."""
        shown: dict[str, Any] = {
            "names": list(self.names),
            "holder": self.holder,
            "until": utc(self.until),
        }
        if self.note:
            shown["note"] = self.note
        if hidden := hidden_characters(self.note):
            shown["hidden_characters"] = hidden
        return shown


class NewClaim(msgspec.Struct, frozen=True):
    """Names to claim: checked, normalized, without repetition."""

    session_id: str
    names: tuple[str, ...]
    principal: Principal
    seconds: float
    note: str


class ClaimNames:
    """Claim names, or renew them.

    Args:
        new: what to claim.
        clock: asked when it is written.
    """

    def __init__(self, new: NewClaim, clock: Clock) -> None:
        self._new = new
        self._clock = clock
        self.size = 512 + sum(map(len, new.names)) + len(new.note)

    def apply(self, transaction: Transaction) -> Claim:
        """Write the rows; return the claim.

        Raises:
            SessionNotFound: there is no such session.
            SessionClosed: the session is closed.
            Claimed: a name overlaps one that somebody else has.
            RateLimited: the session or the principal would have too many names.
        """
        new, now = self._new, self._clock()
        state = transaction.companion(SessionStates).of(transaction, new.session_id)
        if state is None:
            raise SessionNotFound
        if state.closed:
            raise SessionClosed
        holder = new.principal.agent_id
        where = {"session": new.session_id, "now": now, "principal": holder}
        held = _claims(transaction.read(_OF_SESSION, where))
        others = [claim for claim in held if claim.holder != holder]
        own = {claim.names[0] for claim in held if claim.holder == holder}
        if in_the_way := overlapping(new.names, others):
            raise Claimed(claims=[claim.shown() for claim in together(in_the_way)[:TOLD]])
        if len(others) + len(own | set(new.names)) > MOST_IN_SESSION:
            raise _too_many("This session", MOST_IN_SESSION)
        (elsewhere,) = transaction.read(_COUNT_OF_PRINCIPAL, where).fetchone()
        if elsewhere + len(own | set(new.names)) > MOST_OF_PRINCIPAL:
            raise _too_many("You", MOST_OF_PRINCIPAL)
        until = now + new.seconds
        transaction.write(_DELETE_ENDED, where)
        for name in new.names:
            transaction.write(_DELETE, (new.session_id, name))
            token = (new.principal.token_id, new.principal.issued_at)
            transaction.write(_INSERT, (new.session_id, name, holder, *token, new.note, until))
        return Claim(new.names, holder, until, new.note)


class ReleaseNames:
    """Release names.

    Args:
        session_id: the session.
        names: which, normalized; None for all of ``holder``.
        holder: only names that it has; None for anybody's.
        clock: asked when it is written.
    """

    size = 2_048

    def __init__(
        self, session_id: str, names: Sequence[str] | None, holder: str | None, clock: Clock
    ) -> None:
        self._session_id = session_id
        self._names = names
        self._holder = holder
        self._clock = clock

    def apply(self, transaction: Transaction) -> list[str]:
        """Delete the rows; return the names that were claimed.

        Raises:
            SessionNotFound: there is no such session.
        """
        if transaction.companion(SessionStates).of(transaction, self._session_id) is None:
            raise SessionNotFound
        where = {"session": self._session_id, "now": self._clock()}
        released = [
            claim.names[0]
            for claim in _claims(transaction.read(_OF_SESSION, where))
            if (self._holder is None or claim.holder == self._holder)
            and (self._names is None or claim.names[0] in self._names)
        ]
        for name in released:
            transaction.write(_DELETE, (self._session_id, name))
        return released


def claims_of(connection: Connection, session_id: str, now: float) -> list[Claim]:
    """The claims in force in a session, those that end first first."""
    where = {"session": session_id, "now": now}
    return together(_claims(connection.execute(_OF_SESSION, where)))


def overlapping(names: Sequence[str], claims: Iterable[Claim]) -> list[Claim]:
    """The claims that have a name which overlaps one of ``names``."""
    return [
        claim
        for claim in claims
        if any(overlap(name, taken) for taken in claim.names for name in names)
    ]


def together(claims: Iterable[Claim]) -> list[Claim]:
    """Claims with those of one holder, end and note put together, in order of their ends."""
    same = attrgetter("until", "holder", "note")
    ordered = sorted(claims, key=attrgetter("until", "holder", "note", "names"))
    return [
        Claim(tuple(name for claim in group for name in claim.names), holder, until, note)
        for (until, holder, note), group in groupby(ordered, key=same)
    ]


def _claims(rows: Iterable[Sequence[Any]]) -> list[Claim]:
    """A claim of one name for each row."""
    return [Claim((name,), holder, until, note) for name, holder, note, until in rows]


def _too_many(who: str, most: int) -> RateLimited:
    return RateLimited(
        f"{who} would have more than {most} claimed names.",
        "Claim a folder such as src/auth/** instead of its files, or release what is done.",
    )
