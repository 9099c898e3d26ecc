"""Digests of erased messages: whether a retry says what was said, without keeping what was said.

An idempotency key outlives the text of its message. A retry of a deleted message still gets its
first answer, and another text under that key is refused: a digest is kept in place of the text.

The digest is an HMAC. Erased texts can be short and guessable (a password, a name), so a plain
hash would let anybody who gets the database confirm a guess. The secret is a file beside the
database (``digests.key``): no backup or copy of the database holds it. Without the file, as after
a restore elsewhere, every retry of a deleted message is refused, never taken for what it is not.
"""

import hmac
from typing import Final

import msgspec

from mcp_node.log.interface import NewMessage
from mcp_node.log.transaction import Transaction
from proto.messages import Message

KEEP: Final = "UPDATE idempotency SET digest = ? WHERE message_id = ?"
HAS_KEY: Final = "SELECT 1 FROM idempotency WHERE message_id = ?"
FIND: Final = "SELECT digest FROM idempotency WHERE message_id = ?"


def keep_digest(transaction: Transaction, message: Message) -> None:
    """Keep the digest of a message that is about to be erased, if it has an idempotency key."""
    if transaction.read(HAS_KEY, (message.id,)).fetchone() is not None:
        transaction.write(KEEP, (_digest(transaction, message), message.id))


def said_the_same(transaction: Transaction, erased: Message, new: NewMessage) -> bool:
    """Whether ``new`` says what an erased message said; False if that is not known."""
    (kept,) = transaction.read(FIND, (erased.id,)).fetchone()
    return kept is not None and hmac.compare_digest(kept, _digest(transaction, new))


def _digest(transaction: Transaction, said: Message | NewMessage) -> bytes:
    parts = (said.content, said.visibility, said.parent_message_id, said.sender, said.metadata)
    return hmac.digest(transaction.secret, msgspec.json.encode(parts), "sha256")
