"""Links as rows: minting, redeeming and listing them.

Only the SHA-256 of a code is stored, and codes are looked up by it, so that neither the database
nor the time of a look-up reveals a code. An expired link is listed for a while; later it is deleted
when the next link is minted.
"""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Transaction
from proto.errors import RateLimited, Unauthenticated

LIVE: Final = "live"
LOGIN: Final = "login"

KEPT_SECONDS: Final = 7 * 86_400
"""How long a link is still listed after it expires."""

LISTED: Final = 1_000
"""Limit on the links in a list."""

_ID_CHARS: Final = 64 - len("-01234567")
"""Characters of the minter's name in a link's id. The id must fit into a name (64 characters)."""

_COLUMNS: Final = (
    "link_id, kind, session_id, may_write, minted_by, created_at, expires_at, redeemed_at,"
    " revoked_at"
)
_BY_HASH: Final = f"SELECT {_COLUMNS} FROM links WHERE code_hash = ?"
BY_ID: Final = f"SELECT {_COLUMNS} FROM links WHERE link_id = ?"
_NEWEST: Final = f"SELECT {_COLUMNS} FROM links ORDER BY created_at DESC, link_id LIMIT {LISTED}"
_COUNT_VALID: Final = (
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


class Link(msgspec.Struct, frozen=True):
    """A link, without its code. Times are seconds of Unix time.

    ``redeemed_at`` is the time of its first use. A login link has no session.
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

    def is_valid(self, now: float) -> bool:
        """Whether its code can be redeemed."""
        used = self.kind == LOGIN and self.redeemed_at is not None
        return not used and self.revoked_at is None and now < self.expires_at


class NewLink(msgspec.Struct, frozen=True):
    """A link to mint.

    ``minted_with`` is the id of the minter's token and ``minted_with_at`` the time it was issued;
    they are empty and 0 for login links.
    """

    kind: str
    session_id: str | None
    may_write: bool
    minted_by: str
    minted_with: str
    minted_with_at: int
    created_at: float
    expires_at: float


def hash_code(code: str) -> bytes:
    """The hash under which a code is stored."""
    return hashlib.sha256(code.encode()).digest()


class MintLink:
    """Store a new link.

    Args:
        new: the link.
        code_hash: from `hash_code`.
        most: limit on the minter's valid links of this kind, including this one; None: no limit.
    """

    size = 512

    def __init__(self, new: NewLink, code_hash: bytes, most: int | None) -> None:
        self._new = new
        self._hash = code_hash
        self._most = most

    def apply(self, transaction: Transaction) -> Link:
        """Store the link; return it with its id.

        Raises:
            Unauthenticated: its minter's token was revoked meanwhile.
            RateLimited: its minter has too many valid links.
        """
        new = self._new
        self._check_minter(transaction)
        link_id = _free_id(transaction, new)
        expired = new.created_at - KEPT_SECONDS
        transaction.write("DELETE FROM links WHERE expires_at < ?", (expired,))
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

    def _check_minter(self, transaction: Transaction) -> None:
        new = self._new
        minter = (new.minted_with, new.minted_by, new.minted_with_at)
        # In this transaction, so that no link outlives a revocation that is stored meanwhile.
        if new.minted_with and transaction.read(_REVOKED, minter).fetchone() is not None:
            raise Unauthenticated("The token was revoked.")
        if self._most is None:
            return
        (count,) = transaction.read(
            _COUNT_VALID, (new.minted_by, new.kind, new.created_at)
        ).fetchone()
        if count >= self._most:
            raise RateLimited(
                "You have as many links as one principal may have.",
                "Give out one you have, wait until one expires, or ask the operator to revoke one.",
            )


class RedeemLink:
    """Redeem a code: a login link's once, a live link's any number of times while it is valid.

    Args:
        code_hash: from `hash_code`.
        now: seconds of Unix time.
        token_id: id of the token that will be signed for it.
    """

    size = 256

    def __init__(self, code_hash: bytes, now: float, token_id: str) -> None:
        self._hash = code_hash
        self._now = now
        self._token_id = token_id

    def apply(self, transaction: Transaction) -> Link:
        """Record the use; return the link.

        Raises:
            Unauthenticated: there is no such code, or it is no longer valid.
        """
        link = _valid(transaction.read(_BY_HASH, (self._hash,)).fetchone(), self._now)
        if link.redeemed_at is None:
            transaction.write(
                "UPDATE links SET redeemed_at = ?, token_id = ? WHERE link_id = ?",
                (self._now, self._token_id if link.kind == LOGIN else None, link.link_id),
            )
        return link


def newest_links(connection: Connection) -> list[Link]:
    """The newest links, at most `LISTED`."""
    return [_link(row) for row in connection.execute(_NEWEST)]


def link_of_code(connection: Connection, code_hash: bytes, now: float) -> Link:
    """The link of a code. Raises like `RedeemLink.apply`."""
    return _valid(connection.execute(_BY_HASH, (code_hash,)).fetchone(), now)


def _valid(row: Sequence[Any] | None, now: float) -> Link:
    """The link in a row, if it is valid.

    Raises:
        Unauthenticated: there is no row, or the link is not valid. The error does not say which.
    """
    link = None if row is None else _link(row)
    if link is None or not link.is_valid(now):
        raise Unauthenticated(
            "The link is not valid: wrong, used, expired or revoked.", "Ask for a new link."
        )
    return link


def _free_id(transaction: Transaction, new: NewLink) -> str:
    stem = LOGIN if new.kind == LOGIN else new.minted_by[:_ID_CHARS]
    while True:
        link_id = f"{stem}-{secrets.token_hex(4)}"
        if transaction.read(BY_ID, (link_id,)).fetchone() is None:
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
