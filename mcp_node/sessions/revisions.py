"""Earlier texts of edited messages go with their messages."""

from typing import Final

from mcp_node.log.sql import numbers
from mcp_node.log.transaction import Companion, Transaction
from proto.messages import Message

_ERASE: Final = "DELETE FROM revisions WHERE message_id = ?"
_PRUNE: Final = f"DELETE FROM revisions WHERE message_id IN {numbers(':ids')}"


class Revisions(Companion):
    """Deletes earlier texts with their messages."""

    def erasing(self, transaction: Transaction, message: Message) -> None:
        """Delete those of a deleted message."""
        transaction.write(_ERASE, (message.id,))

    def pruning(self, transaction: Transaction, ids: str) -> None:
        """Delete those of pruned messages."""
        transaction.write(_PRUNE, {"ids": ids})
