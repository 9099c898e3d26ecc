"""Revocations: of tokens, and of links with the tokens they gave.

They are numbered in the order in which they were made, so that ws_node can tell which it has.
"""

from typing import Final

from mcp_node.links.rows import BY_ID, LIVE, LOGIN
from mcp_node.log.sql import Connection, Parameters
from mcp_node.log.transaction import Transaction
from proto.errors import LinkNotFound
from proto.names import GUEST_PREFIX
from proto.revocations import Revocation, Revocations

REVOCATIONS: Final = (
    "SELECT number, token_id, agent_id, issued_until FROM revocations WHERE number > ?"
    " ORDER BY number"
)
_INSERT: Final = (
    "INSERT INTO revocations (token_id, agent_id, issued_until) VALUES (?, ?, ?) RETURNING number"
)


def revocations(connection: Connection) -> list[Revocation]:
    """All revocations, by number."""
    return _after(connection, 0)


def _after(connection: Connection, number: int) -> list[Revocation]:
    return [Revocation(*row) for row in connection.execute(REVOCATIONS, (number,))]


class RevocationWatch:
    """`mcp_node.log.interface.Watch` of revocations: those made on other nodes hold here as well.

    Args:
        known: the node's revocations.
    """

    def __init__(self, known: Revocations) -> None:
        self._known = known

    def read(self, connection: Connection) -> list[Revocation]:
        """The revocations that are not known yet."""
        return _after(connection, self._known.number)

    def apply(self, found: list[Revocation]) -> None:
        """Add them."""
        for revocation in found:
            self._known.add(revocation)


class Revoke:
    """Revoke a token, or every token an agent was issued until now, and the links it minted."""

    size = 512

    def __init__(self, token_id: str | None, agent_id: str | None, issued_until: int) -> None:
        self._row = (token_id, agent_id, issued_until)

    def apply(self, transaction: Transaction) -> list[Revocation]:
        """Store the revocation; return it, and those of the tokens its links gave."""
        revocation = _add(transaction, *self._row)
        return [revocation, *_revoke_links_of(transaction, revocation, revocation.issued_until)]


class RevokeLink:
    """Revoke one link and every token it gave."""

    size = 256

    def __init__(self, link_id: str, now: float) -> None:
        self._link_id = link_id
        self._now = now

    def apply(self, transaction: Transaction) -> list[Revocation]:
        """Revoke the link; return the revocations of its tokens.

        Raises:
            LinkNotFound: there is no link with that id.
        """
        if transaction.read(BY_ID, (self._link_id,)).fetchone() is None:
            raise LinkNotFound
        return _revoke_links(transaction, "link_id = ?", (self._link_id,), self._now)


def _add(
    transaction: Transaction, token_id: str | None, agent_id: str | None, issued_until: int
) -> Revocation:
    row = (token_id, agent_id, issued_until)
    (number,) = transaction.write(_INSERT, row).fetchone()
    return Revocation(number, *row)


def _revoke_links_of(transaction: Transaction, revoked: Revocation, now: float) -> list[Revocation]:
    """Revoke the links minted by a revoked agent, or with a revoked token.

    For the operator (agent ``human``) unused login links are revoked too; for a guest, the link
    it came by.
    """
    if revoked.token_id is not None:
        return _revoke_links(transaction, "minted_with = ?", (revoked.token_id,), now)
    which = (
        "minted_by = :agent OR (kind = 'login' AND redeemed_at IS NULL AND :agent = 'human')"
        f" OR (kind = 'live' AND '{GUEST_PREFIX}' || link_id = :agent)"
    )
    return _revoke_links(transaction, which, {"agent": revoked.agent_id}, now)


def _revoke_links(
    transaction: Transaction, which: str, parameters: Parameters, now: float
) -> list[Revocation]:
    """Revoke links and their tokens: those of a live link's guests, or a login link's one token."""
    rows = transaction.read(
        f"SELECT link_id, kind, expires_at, token_id FROM links"
        f" WHERE ({which}) AND revoked_at IS NULL",
        parameters,
    ).fetchall()
    revocations = []
    for link_id, kind, expires_at, token_id in rows:
        transaction.write("UPDATE links SET revoked_at = ? WHERE link_id = ?", (now, link_id))
        if kind == LIVE and expires_at > now:
            # A token of the link that is being signed right now may be issued after `now`, but
            # none is issued after the link expires.
            guest, until = GUEST_PREFIX + link_id, int(expires_at) + 1
            revocations.append(_add(transaction, None, guest, until))
        elif kind == LOGIN and token_id is not None:
            revocations.append(_add(transaction, token_id, None, int(now)))
    return revocations
