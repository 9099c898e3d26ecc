"""Editing a message: it gets a new text, and an entry of the log records that.

The replaced text is kept in ``revisions``, for those who saw it. The entry has no text of its own
in the database: it is the message's, as long as no later edit has replaced it.
"""

from functools import partial
from time import monotonic
from typing import Final

import msgspec

from mcp_node.log.transaction import Transaction
from mcp_node.sessions.appending import pending_bytes, said_since_human
from mcp_node.sessions.find_message import entry_about, find_message
from mcp_node.sessions.states import SessionStates
from proto.errors import Forbidden, InvalidInput, SessionClosed, SessionNotFound
from proto.messages import ANONYMOUS, Audience, Kind, Message

MOST_EDITS: Final = 100
"""The most edits of one message: each keeps the text that it replaced."""

_KEEP: Final = (
    "INSERT INTO revisions (message_id, number, content, metadata, since, replaced_at)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_EDITS: Final = "SELECT count(*) FROM revisions WHERE message_id = ?"
_CHANGE: Final = (
    "UPDATE messages SET content = ?, metadata = ?, edited_by = ?, edited_at = ? WHERE id = ?"
)


class EditMessage:
    """Give a message a new text on behalf of its author.

    Args:
        session_id: the message's session.
        message_id: the message.
        who: the caller.
        content: the new text.
        metadata: the new metadata; None: as it is.
    """

    def __init__(
        self,
        session_id: str,
        message_id: int,
        who: Audience,
        content: str,
        metadata: msgspec.Raw | None,
    ) -> None:
        self._session_id = session_id
        self._message_id = message_id
        self._who = who
        self._content = content
        self._metadata = metadata
        self.size = 2 * pending_bytes(content, metadata or msgspec.Raw(b""))

    def apply(self, transaction: Transaction) -> Message:
        """Edit the message, and return it; if it has this text already, nothing changes.

        Raises:
            SessionNotFound: there is no such session.
            MessageNotFound: the session has no such message, or ``who`` may not see it.
            Forbidden: it is somebody else's message.
            SessionClosed: the session is closed.
            InvalidInput: the message was deleted, or edited too often.
            LoopGuard: a limit of the session is reached.
        """
        session = transaction.companion(SessionStates).of(transaction, self._session_id)
        if session is None:
            raise SessionNotFound
        message = find_message(transaction, self._session_id, self._message_id, self._who)
        if self._who.agent_id != message.principal or message.principal == ANONYMOUS:
            raise Forbidden("Only its sender may edit a message.", "Reply to it instead.")
        if message.deleted:
            raise InvalidInput("The message was deleted.", "Add a new message.")
        if session.closed:
            raise SessionClosed
        metadata = message.metadata if self._metadata is None else self._metadata
        if (self._content, bytes(metadata)) == (message.content, bytes(message.metadata)):
            return message
        (edits,) = transaction.read_of(self._session_id, _EDITS, (message.id,)).fetchone()
        if edits >= MOST_EDITS:
            raise InvalidInput(
                f"The message was edited {MOST_EDITS} times already.", "Add a new message."
            )
        count = partial(said_since_human, transaction, self._session_id)
        session.guard.admit(self._who, count, monotonic())
        return self._edit(transaction, message, metadata, edits)

    def _edit(
        self, transaction: Transaction, message: Message, metadata: msgspec.Raw, edits: int
    ) -> Message:
        entry = msgspec.structs.replace(
            entry_about(transaction, message, self._who, Kind.EDIT),
            content=self._content,
            metadata=metadata,
        )
        transaction.editing(message, entry)
        before = bytes(message.metadata).decode()
        since = message.edited_at or message.timestamp
        kept = (message.id, edits + 1, message.content, before, since, entry.timestamp)
        transaction.write(_KEEP, kept)
        text = (self._content, bytes(metadata).decode(), entry.id, entry.timestamp, message.id)
        transaction.write(_CHANGE, text)
        edited = msgspec.structs.replace(
            message, content=self._content, metadata=metadata, edited_at=entry.timestamp
        )
        transaction.edited(edited)
        transaction.add(entry)
        return edited
