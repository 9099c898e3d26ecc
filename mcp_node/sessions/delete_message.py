"""Deleting a message: its text and metadata are erased, its id stays, and a log entry records it.

The entry has an id of its own and the audience of the message it deletes, so that it is shown to
exactly those who could see the message.
"""

from typing import Final

from mcp_node.log.transaction import Transaction
from mcp_node.sessions.find_message import entry_about, find_message
from mcp_node.sessions.states import SessionStates
from proto.errors import Forbidden, SessionNotFound
from proto.messages import ANONYMOUS, Audience, Kind, Message

EMPTY: Final = (
    "UPDATE messages SET content = '', metadata = '{}', deleted_at = ?, edited_by = NULL,"
    " edited_at = NULL, reactions = 0 WHERE id = ?"
)


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
        message = find_message(transaction, self._session_id, self._message_id, self._who)
        own = self._who.agent_id == message.principal and message.principal != ANONYMOUS
        if not (own or self._who.is_admin):
            raise Forbidden(
                "Only its sender, or an admin, may delete a message.",
                "Ask its sender to delete it.",
            )
        if not message.deleted:
            self._delete(transaction, message)

    def _delete(self, transaction: Transaction, message: Message) -> None:
        entry = entry_about(transaction, message, self._who, Kind.DELETION)
        transaction.erasing(message)
        transaction.write(EMPTY, (entry.timestamp, message.id))
        transaction.add(entry)
