"""Digests of erased texts: they tell whether a retry repeats a message that was erased or edited.

An idempotency key outlives the text of its message. A retry of a deleted message still gets its
first answer, and another text under that key is refused. So a digest is kept instead of the text.

The digest is an HMAC. Erased texts can be short and guessable (a password, a name), so a plain
hash would let anybody who gets the database confirm a guess. The secret is a file beside the
database (``digests.key``): no backup or copy of the database holds it. Without the file, as after
a restore on another machine, every retry of a deleted message is refused.

Messages that were added together have one key, and one digest from the beginning, so that a retry
is recognised whichever of them were deleted since.
"""

import hmac
from collections.abc import Sequence
from typing import Final

import msgspec

from mcp_node.log.sql import numbers
from mcp_node.log.transaction import Companion, Transaction
from mcp_node.sessions.new import NewMessage
from proto.messages import Message

KEEP: Final = (
    "UPDATE idempotency SET digest = ? WHERE message_id = ? AND together IS NULL AND digest IS NULL"
)
HAS_KEY: Final = (
    "SELECT 1 FROM idempotency WHERE message_id = ? AND together IS NULL AND digest IS NULL"
)
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
        """Keep the digest of a message that is about to lose the text it was added with."""
        if transaction.read(HAS_KEY, (message.id,)).fetchone() is not None:
            transaction.write(KEEP, (self._digest(message), message.id))

    def editing(self, transaction: Transaction, message: Message, edit: Message) -> None:
        """Keep the digest of a message before its first edit."""
        self.erasing(transaction, message)

    def pruning(self, transaction: Transaction, ids: str) -> None:
        """Delete the idempotency keys of pruned messages."""
        transaction.write(PRUNE, {"ids": ids})

    def said_the_same(self, transaction: Transaction, erased: Message, new: NewMessage) -> bool:
        """Whether ``new`` equals an erased or edited message; False if no digest of it was kept."""
        (kept,) = transaction.read(FIND, (erased.id,)).fetchone()
        return kept is not None and hmac.compare_digest(kept, self._digest(new))

    def of_all(self, messages: Sequence[NewMessage]) -> bytes:
        """The digest of messages that are added together."""
        return self._hmac([_parts(message) for message in messages])

    def is_of_all(self, digest: bytes, messages: Sequence[NewMessage]) -> bool:
        """Whether a digest is that of messages that are added together."""
        return hmac.compare_digest(digest, self.of_all(messages))

    def _digest(self, said: Message | NewMessage) -> bytes:
        return self._hmac(_parts(said))

    def _hmac(self, parts: object) -> bytes:
        return hmac.digest(self._secret, msgspec.json.encode(parts), "sha256")


def _parts(said: Message | NewMessage) -> tuple[object, ...]:
    return (said.content, said.visibility, said.parent_message_id, said.sender, said.metadata)
