"""Deleting a message: its text and metadata are erased, its id stays, and a log entry records it.

The entry has an id of its own and the audience of the message it deletes, so that it is shown to
exactly those who could see the message.
"""

from typing import Final

import msgspec

from mcp_node.log.messages import COLUMNS, message_from_row
from mcp_node.log.transaction import Transaction
from mcp_node.sessions.states import SessionStates
from proto.errors import Forbidden, MessageNotFound, SessionNotFound
from proto.messages import ANONYMOUS, MAX_ID, Audience, Message, utc_now
from proto.visibility import may_see

FIND: Final = f"SELECT {COLUMNS} FROM messages WHERE id = ? AND session_id = ? AND deletes IS NULL"
EMPTY: Final = "UPDATE messages SET content = '', metadata = '{}', deleted_at = ? WHERE id = ?"

_NO_METADATA: Final = msgspec.Raw(b"{}")


class DeleteMessage:
    """Delete a message on behalf of its author, or of an admin who may see it.

    Args:
        session_id: the message's session.
        message_id: the message.
        who: the caller.
    """

    size = 512

    def __init__(self, session_id: str, message_id: int, who: Audience) -> None:
        self._session_id = session_id
        self._message_id = message_id
        self._who = who

    def apply(self, transaction: Transaction) -> None:
        """Delete the message; a deleted message is left as it is.

        Raises:
            SessionNotFound: there is no such session.
            MessageNotFound: the session has no such message, or ``who`` may not see it.
            Forbidden: it is somebody else's message.
        """
        if transaction.companion(SessionStates).of(transaction, self._session_id) is None:
            raise SessionNotFound
        message = self._find(transaction)
        own = self._who.agent_id == message.principal and message.principal != ANONYMOUS
        if not (own or self._who.is_admin):
            raise Forbidden(
                "Only its sender, or an admin, may delete a message.",
                "Ask its sender to delete it.",
            )
        if not message.deleted:
            self._delete(transaction, message)

    def _find(self, transaction: Transaction) -> Message:
        row = None
        if 0 < self._message_id <= MAX_ID:
            row = transaction.read(FIND, (self._message_id, self._session_id)).fetchone()
        if row is None:
            raise MessageNotFound
        message = message_from_row(row)
        if not may_see(self._who, message.visibility, message.principal, message.sender_type):
            raise MessageNotFound
        return message

    def _delete(self, transaction: Transaction, message: Message) -> None:
        now = utc_now()
        transaction.erasing(message)
        transaction.write(EMPTY, (now, message.id))
        transaction.add(
            Message(
                transaction.last() + 1,
                transaction.last_of(message.session_id),
                message.session_id,
                message.principal,
                self._who.agent_id,
                message.sender_type,
                "",
                message.visibility,
                now,
                _NO_METADATA,
                None,
                deletes=message.id,
            )
        )
