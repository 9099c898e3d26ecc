"""Links for people, as rows: minting, redeeming and ending them.

A code is stored as its SHA-256 alone and found by it, so that looking one up tells nothing of the
others. A link that ended stays for a while to be listed, then it goes when the next is minted.
"""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from mcp_node.log.sql import Connection, Parameters
from mcp_node.log.transaction import Transaction
from proto.errors import LinkNotFound, RateLimited, Unauthenticated
from proto.names import GUEST_PREFIX
from proto.revocations import Revocation

LIVE: Final = "live"
LOGIN: Final = "login"

KEPT_SECONDS: Final = 7 * 86_400
"""How long after its end a link is still listed."""

LISTED: Final = 1_000

_ID_CHARS: Final = 64 - len("-01234567")
"""How much of its minter's name goes into a link's id, which is a name itself."""

_COLUMNS: Final = (
    "link_id, kind, session_id, may_write, minted_by, created_at, expires_at, redeemed_at,"
    " revoked_at"
)
_BY_HASH: Final = f"SELECT {_COLUMNS} FROM links WHERE code_hash = ?"
_BY_ID: Final = f"SELECT {_COLUMNS} FROM links WHERE link_id = ?"
_NEWEST: Final = f"SELECT {_COLUMNS} FROM links ORDER BY created_at DESC, link_id LIMIT {LISTED}"
_WORKING: Final = (
    "SELECT count(*) FROM links"
    " WHERE minted_by = ? AND kind = ? AND revoked_at IS NULL AND expires_at > ?"
)
_INSERT: Final = (
    "INSERT INTO links (link_id, code_hash, kind, session_id, may_write, minted_by, minted_with,"
    " created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_REVOKED: Final = (
    "SELECT 1 FROM revocations WHERE token_id = ? OR (agent_id = ? AND issued_until >= ?) LIMIT 1"
)
_INSERT_REVOCATION: Final = (
    "INSERT INTO revocations (token_id, agent_id, issued_until) VALUES (?, ?, ?) RETURNING number"
)


class Link(msgspec.Struct, frozen=True):
    """A link, without its code. Times are in seconds of Unix time.

    ``redeemed_at`` is when it was first used. A login link has no session.
    """

    link_id: str
    kind: str
    session_id: str | None
    may_write: bool
    minted_by: str
    created_at: float
    expires_at: float
    redeemed_at: float | None = None
    revoked_at: float | None = None

    def works(self, now: float) -> bool:
        """Whether its code may be redeemed."""
        used = self.kind == LOGIN and self.redeemed_at is not None
        return not used and self.revoked_at is None and now < self.expires_at


class NewLink(msgspec.Struct, frozen=True):
    """A link to be minted.

    ``minted_with`` is the id of the minter's token and ``minted_with_at`` when that was issued,
    empty and 0 for the operator's own links.
    """

    kind: str
    session_id: str | None
    may_write: bool
    minted_by: str
    minted_with: str
    minted_with_at: int
    created_at: float
    expires_at: float


def hashed(code: str) -> bytes:
    """What is kept of a code."""
    return hashlib.sha256(code.encode()).digest()


class MintLink:
    """Store a new link.

    Args:
        new: the link.
        code_hash: from `hashed`.
        most: links of this kind its minter may have that work, this one included; None: any number.
    """

    size = 512

    def __init__(self, new: NewLink, code_hash: bytes, most: int | None) -> None:
        self._new = new
        self._hash = code_hash
        self._most = most

    def apply(self, transaction: Transaction) -> Link:
        """The link, with its id.

        Raises:
            Unauthenticated: its minter's token was revoked meanwhile.
            RateLimited: its minter has as many as it may.
        """
        new = self._new
        minter = (new.minted_with, new.minted_by, new.minted_with_at)
        if new.minted_with and transaction.read(_REVOKED, minter).fetchone() is not None:
            raise Unauthenticated("The token was revoked.")
        if self._most is not None:
            asked = (new.minted_by, new.kind, new.created_at)
            if transaction.read(_WORKING, asked).fetchone()[0] >= self._most:
                raise RateLimited(
                    "You have as many links as one principal may.",
                    "Give out one you have, wait until one expires, or ask the operator to revoke"
                    " one.",
                )
        link_id = _free_id(transaction, new)
        over = new.created_at - KEPT_SECONDS
        transaction.write("DELETE FROM links WHERE expires_at < ?", (over,))
        transaction.write(
            _INSERT,
            (
                link_id,
                self._hash,
                new.kind,
                new.session_id,
                new.may_write,
                new.minted_by,
                new.minted_with,
                new.created_at,
                new.expires_at,
            ),
        )
        return Link(
            link_id,
            new.kind,
            new.session_id,
            new.may_write,
            new.minted_by,
            new.created_at,
            new.expires_at,
        )


class RedeemLink:
    """Redeem a code: a login link's once, a live link's while it works.

    Args:
        code_hash: from `hashed`.
        now: seconds of Unix time.
        token_id: of the token that will be signed for it.
    """

    size = 256

    def __init__(self, code_hash: bytes, now: float, token_id: str) -> None:
        self._hash = code_hash
        self._now = now
        self._token_id = token_id

    def apply(self, transaction: Transaction) -> Link:
        """The link.

        Raises:
            Unauthenticated: there is no such code, or it works no more.
        """
        link = working(transaction.read(_BY_HASH, (self._hash,)).fetchone(), self._now)
        if link.redeemed_at is None:
            transaction.write(
                "UPDATE links SET redeemed_at = ?, token_id = ? WHERE link_id = ?",
                (self._now, self._token_id if link.kind == LOGIN else None, link.link_id),
            )
        return link


class EndLink:
    """Revoke one link and every token it gave."""

    size = 256

    def __init__(self, link_id: str, now: float) -> None:
        self._link_id = link_id
        self._now = now

    def apply(self, transaction: Transaction) -> list[Revocation]:
        """The revocations of its tokens.

        Raises:
            LinkNotFound: there is none of that id.
        """
        if transaction.read(_BY_ID, (self._link_id,)).fetchone() is None:
            raise LinkNotFound
        return _end(transaction, "link_id = ?", (self._link_id,), self._now)


def end_links_of(transaction: Transaction, revoked: Revocation, now: float) -> list[Revocation]:
    """End the links that a revoked agent or token minted; the revocations of their tokens.

    With the operator's own tokens (agent ``human``) its login links that were not used end too,
    and with a guest the link it came by.
    """
    if revoked.token_id is not None:
        return _end(transaction, "minted_with = ?", (revoked.token_id,), now)
    which = (
        "minted_by = :agent OR (kind = 'login' AND redeemed_at IS NULL AND :agent = 'human')"
        f" OR (kind = 'live' AND '{GUEST_PREFIX}' || link_id = :agent)"
    )
    return _end(transaction, which, {"agent": revoked.agent_id}, now)


def add_revocation(
    transaction: Transaction, token_id: str | None, agent_id: str | None, issued_until: int
) -> Revocation:
    """Store a revocation."""
    row = (token_id, agent_id, issued_until)
    (number,) = transaction.write(_INSERT_REVOCATION, row).fetchone()
    return Revocation(number, *row)


def newest_links(connection: Connection) -> list[Link]:
    """The newest links, `LISTED` at most."""
    return [_link(row) for row in connection.execute(_NEWEST)]


def working_link(connection: Connection, code_hash: bytes, now: float) -> Link:
    """The link of a code; raises as `RedeemLink.apply`."""
    return working(connection.execute(_BY_HASH, (code_hash,)).fetchone(), now)


def working(row: Sequence[Any] | None, now: float) -> Link:
    """The link of a row, if its code may be redeemed.

    Raises:
        Unauthenticated: it is none, or works no more; which of them is not said.
    """
    link = None if row is None else _link(row)
    if link is None or not link.works(now):
        raise Unauthenticated(
            "The link is not valid: wrong, used, expired or revoked.", "Ask for a new link."
        )
    return link


def _end(
    transaction: Transaction, which: str, parameters: Parameters, now: float
) -> list[Revocation]:
    """Revoke links, and their tokens: a live link's guests, or the token a login link gave."""
    rows = transaction.read(
        f"SELECT link_id, kind, expires_at, token_id FROM links"
        f" WHERE ({which}) AND revoked_at IS NULL",
        parameters,
    ).fetchall()
    revocations = []
    for link_id, kind, expires_at, token_id in rows:
        transaction.write("UPDATE links SET revoked_at = ? WHERE link_id = ?", (now, link_id))
        if kind == LIVE and expires_at > now:
            # No token of it, even one that is being signed, was issued after it expires.
            guest, until = GUEST_PREFIX + link_id, int(expires_at) + 1
            revocations.append(add_revocation(transaction, None, guest, until))
        elif kind == LOGIN and token_id is not None:
            revocations.append(add_revocation(transaction, token_id, None, int(now)))
    return revocations


def _free_id(transaction: Transaction, new: NewLink) -> str:
    stem = LOGIN if new.kind == LOGIN else new.minted_by[:_ID_CHARS]
    while True:
        link_id = f"{stem}-{secrets.token_hex(4)}"
        if transaction.read(_BY_ID, (link_id,)).fetchone() is None:
            return link_id


def _link(row: Sequence[Any]) -> Link:
    link_id, kind, session_id, may_write, *rest = row
    minted_by, created_at, expires_at, redeemed_at, revoked_at = rest
    return Link(
        link_id,
        kind,
        session_id,
        bool(may_write),
        minted_by,
        created_at,
        expires_at,
        redeemed_at,
        revoked_at,
    )
