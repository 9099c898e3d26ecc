"""The service that edits messages for their senders."""

from typing import Any

from mcp_node.log.interface import Database
from mcp_node.sessions import checks
from mcp_node.sessions.authorization import Rights, entered, named
from mcp_node.sessions.edit_message import EditMessage
from proto.messages import Message, Principal
from proto.settings import Settings


class Editing:
    """Edits messages in open sessions; methods raise as those of `Sessions` do.

    Args:
        database: the log.
        settings: the bounds of texts.
        rights: counts the writes.
    """

    def __init__(self, database: Database, settings: Settings, rights: Rights) -> None:
        self._database = database
        self._settings = settings
        self._rights = rights

    async def edit_message(
        self,
        principal: Principal,
        session_id: Any,
        message_id: Any,
        content: Any,
        metadata: Any = None,
    ) -> Message:
        """Give a message a new text; it is durable when this returns.

        A repeated call with the same text changes nothing.

        Args:
            principal: the caller, who must be the message's author.
            session_id: the message's session.
            message_id: the message.
            content: the new text.
            metadata: a JSON object in place of the one it has; None: as it is.

        Raises:
            Forbidden: it is somebody else's message, or the caller has no name.
            MessageNotFound: the session has no such message that the principal may see.
            SessionClosed: the session is closed.
            InvalidInput: also if the message was deleted, or edited too often.
            LoopGuard: a limit of the session is reached.
        """
        self._rights.may_write(principal)
        named(principal, "editing of messages")
        name = entered(principal, session_id, "write")
        id_ = checks.check_message_id(message_id)
        text = checks.check_content(content, self._settings)
        fields = None if metadata is None else checks.check_metadata(metadata, self._settings)
        edit = EditMessage(name, id_, principal.audience, text, fields)
        return await self._database.write(edit)
