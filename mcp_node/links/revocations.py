"""Taking tokens back: the revocations as rows, numbered in the order in which they were made."""

from typing import Final

from mcp_node.links.rows import add_revocation, end_links_of
from mcp_node.log.sql import Connection
from mcp_node.log.transaction import Transaction
from proto.revocations import Revocation

REVOCATIONS: Final = (
    "SELECT number, token_id, agent_id, issued_until FROM revocations ORDER BY number"
)


def revocations(connection: Connection) -> list[Revocation]:
    """Every revocation, by number."""
    return [Revocation(*row) for row in connection.execute(REVOCATIONS)]


class Revoke:
    """Take back a token, or every token an agent was issued until now, and the links it minted."""

    size = 512

    def __init__(self, token_id: str | None, agent_id: str | None, issued_until: int) -> None:
        self._row = (token_id, agent_id, issued_until)

    def apply(self, transaction: Transaction) -> list[Revocation]:
        """The numbered revocation, and those of its links' tokens."""
        revocation = add_revocation(transaction, *self._row)
        return [revocation, *end_links_of(transaction, revocation, revocation.issued_until)]
