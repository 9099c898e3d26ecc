"""Finding the message that an operation of the writer is about."""

from typing import Final

import msgspec

from mcp_node.log.messages import COLUMNS, message_from_row
from mcp_node.log.transaction import Transaction
from proto.errors import MessageNotFound
from proto.messages import MAX_ID, Audience, Kind, Message, utc_now
from proto.visibility import may_see

FIND: Final = f"SELECT {COLUMNS} FROM messages WHERE id = ? AND session_id = ? AND deletes IS NULL"

NO_METADATA: Final = msgspec.Raw(b"{}")


def find_message(
    transaction: Transaction, session_id: str, message_id: int, who: Audience
) -> Message:
    """A message of a session.

    Raises:
        MessageNotFound: the session has no such message, or ``who`` may not see it.
    """
    row = None
    if 0 < message_id <= MAX_ID:
        row = transaction.read_of(session_id, FIND, (message_id, session_id)).fetchone()
    if row is None:
        raise MessageNotFound
    message = message_from_row(row)
    if not may_see(who, message.visibility, message.principal, message.sender_type):
        raise MessageNotFound
    return message


def entry_about(transaction: Transaction, message: Message, who: Audience, kind: Kind) -> Message:
    """A new entry about a message, without texts, to be added to the log.

    Args:
        transaction: the one that adds it.
        message: what it is about; its readers will see the entry.
        who: who adds it.
        kind: what it is.
    """
    return Message(
        transaction.last() + 1,
        transaction.last_of(message.session_id),
        message.session_id,
        message.principal,
        who.agent_id,
        message.sender_type,
        "",
        message.visibility,
        utc_now(),
        NO_METADATA,
        None,
        about=message.id,
        kind=kind,
    )
