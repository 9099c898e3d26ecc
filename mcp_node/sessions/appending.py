"""What adding one message and adding several together have in common, within a transaction."""

from functools import partial
from time import monotonic
from typing import Final

from msgspec import Raw

from mcp_node.log.transaction import Transaction
from mcp_node.sessions.guard import SAID_SINCE_HUMAN, Guard
from mcp_node.sessions.new import NewMessage
from proto.errors import InvalidInput, ParentNotFound
from proto.messages import MAX_ID, Message, Visibility, utc_now
from proto.visibility import audience_key, may_see, reply_fits

ROW_BYTES: Final = 512
"""Bytes that a pending write takes in memory besides its texts, roughly."""

_PARENT: Final = (
    "SELECT visibility, principal, sender_type FROM messages"
    " WHERE id = ? AND session_id = ? AND deletes IS NULL"
)


def pending_bytes(content: str, metadata: Raw) -> int:
    """Roughly the bytes that a pending message or session takes in memory."""
    text = len(content) if content.isascii() else len(content.encode("utf-8", "surrogatepass"))
    return ROW_BYTES + text + len(bytes(metadata))


def check_parent(transaction: Transaction, new: NewMessage) -> None:
    """Check the message that ``new`` replies to, if it does.

    Raises:
        ParentNotFound: it is not in the session, or the author may not see it.
        InvalidInput: some who may see the reply may not see it.
    """
    parent_id, author = new.parent_message_id, new.author
    if parent_id is None:
        return
    if not 0 < parent_id <= MAX_ID:
        raise ParentNotFound
    row = transaction.read_of(new.session_id, _PARENT, (parent_id, new.session_id)).fetchone()
    if row is None or not may_see(author, Visibility(row[0]), row[1], row[2]):
        raise ParentNotFound
    own = audience_key(new.visibility, author.agent_id, author.agent_type)
    if not reply_fits(own, audience_key(Visibility(row[0]), row[1], row[2])):
        raise InvalidInput(
            "More would see this reply than may see the message it answers.",
            "Answer with visibility private or with the message's own, or leave out"
            " parent_message_id.",
        )


def admit(transaction: Transaction, guard: Guard, new: NewMessage, messages: int = 1) -> None:
    """Have a session's guard against loops allow as many messages as ``new``, all or none.

    Raises:
        LoopGuard: a limit of the session is reached.
    """
    guard.admit(
        new.author, partial(said_since_human, transaction, new.session_id), monotonic(), messages
    )


def append(transaction: Transaction, new: NewMessage) -> Message:
    """Append a checked message to the log."""
    message = Message(
        transaction.last() + 1,
        transaction.last_of(new.session_id),
        new.session_id,
        new.author.agent_id,
        new.sender,
        new.author.agent_type,
        new.content,
        new.visibility,
        utc_now(),
        new.metadata,
        new.parent_message_id,
    )
    transaction.add(message)
    return message


def said_since_human(transaction: Transaction, session_id: str, key: str, limit: int) -> int:
    """How many messages agents added under an audience key since a person's last public one."""
    said = {"session": session_id, "key": key, "limit": limit}
    return int(transaction.read_of(session_id, SAID_SINCE_HUMAN, said).fetchone()[0])
