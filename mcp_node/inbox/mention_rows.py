"""Who is mentioned by which message, kept in step with the log; and positions that pruning ends."""

from typing import Final

from mcp_node.inbox.mentions import mentioned
from mcp_node.log.sql import Connection, numbers
from mcp_node.log.transaction import Companion, Transaction
from proto.messages import Message

INSERT: Final = "INSERT INTO mentions (session_id, name, message_id) VALUES (?, ?, ?)"
ERASE: Final = "DELETE FROM mentions WHERE message_id = ?"
PRUNE: Final = f"DELETE FROM mentions WHERE message_id IN {numbers(':ids')}"
# An advance to a position below the oldest remaining message says nothing about any message.
UNADVANCE: Final = """
    DELETE FROM advances WHERE (session_id, principal, out_of_turn, position) IN (
        SELECT a.session_id, a.principal, a.out_of_turn, a.position
        FROM readers AS r JOIN advances AS a USING (session_id, principal)
        WHERE r.session_id = :session AND a.out_of_turn IN (0, 1)
        AND a.position < (SELECT min(id) FROM messages WHERE session_id = :session)
    )
"""


class Mentions(Companion):
    """Keeps the table of mentions: collects those of a transaction, and writes them at its end."""

    def __init__(self) -> None:
        self._new: list[tuple[str, str, int]] = []

    def added(self, message: Message) -> None:
        """Note whom a message mentions."""
        self._new += [(message.session_id, name, message.id) for name in mentioned(message.content)]

    def erasing(self, transaction: Transaction, message: Message) -> None:
        """A deleted message mentions nobody."""
        transaction.write(ERASE, (message.id,))

    def pruning(self, transaction: Transaction, ids: str) -> None:
        """Pruned messages mention nobody."""
        transaction.write(PRUNE, {"ids": ids})

    def pruned(self, transaction: Transaction, session_id: str) -> None:
        """Forget when readers came to positions that no message is left for."""
        transaction.write(UNADVANCE, {"session": session_id})

    def finish(self, connection: Connection) -> None:
        """Insert what was noted."""
        if self._new:
            new, self._new = self._new, []
            connection.executemany(INSERT, new)

    def forget(self) -> None:
        """What was noted was rolled back."""
        self._new.clear()
