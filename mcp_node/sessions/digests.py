"""Digests of erased messages: they tell whether a retry repeats a message that was erased.

An idempotency key outlives the text of its message. A retry of a deleted message still gets its
first answer, and another text under that key is refused. So a digest is kept instead of the text.

The digest is an HMAC. Erased texts can be short and guessable (a password, a name), so a plain
hash would let anybody who gets the database confirm a guess. The secret is a file beside the
database (``digests.key``): no backup or copy of the database holds it. Without the file, as after
a restore on another machine, every retry of a deleted message is refused.
"""

import hmac
from typing import Final

import msgspec

from mcp_node.log.sql import numbers
from mcp_node.log.transaction import Companion, Transaction
from mcp_node.sessions.new import NewMessage
from proto.messages import Message

KEEP: Final = "UPDATE idempotency SET digest = ? WHERE message_id = ?"
HAS_KEY: Final = "SELECT 1 FROM idempotency WHERE message_id = ?"
FIND: Final = "SELECT digest FROM idempotency WHERE message_id = ?"
PRUNE: Final = f"DELETE FROM idempotency WHERE message_id IN {numbers(':ids')}"


class Digests(Companion):
    """Keeps the digests of erased messages that have an idempotency key.

    Args:
        secret: the HMAC key.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def erasing(self, transaction: Transaction, message: Message) -> None:
        """Keep the digest of a message that is about to be erased."""
        if transaction.read(HAS_KEY, (message.id,)).fetchone() is not None:
            transaction.write(KEEP, (self._digest(message), message.id))

    def pruning(self, transaction: Transaction, ids: str) -> None:
        """Delete the idempotency keys of pruned messages."""
        transaction.write(PRUNE, {"ids": ids})

    def said_the_same(self, transaction: Transaction, erased: Message, new: NewMessage) -> bool:
        """Whether ``new`` equals an erased message; False if no digest of it was kept."""
        (kept,) = transaction.read(FIND, (erased.id,)).fetchone()
        return kept is not None and hmac.compare_digest(kept, self._digest(new))

    def _digest(self, said: Message | NewMessage) -> bytes:
        parts = (said.content, said.visibility, said.parent_message_id, said.sender, said.metadata)
        return hmac.digest(self._secret, msgspec.json.encode(parts), "sha256")
