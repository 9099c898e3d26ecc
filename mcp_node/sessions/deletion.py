"""Deleting a message: by whoever sent it, or an admin who may see it."""

from typing import Any

from mcp_node.log.interface import Database
from mcp_node.sessions import checks
from mcp_node.sessions.authorization import Rights, entered, named
from mcp_node.sessions.delete_message import DeleteMessage
from proto.errors import InvalidInput
from proto.messages import Principal


class Deletion:
    """What has been said can be taken back, also in a closed session."""

    def __init__(self, database: Database, rights: Rights) -> None:
        self._database = database
        self._rights = rights

    async def delete_message(
        self, principal: Principal, session_id: Any, message_id: Any
    ) -> dict[str, Any]:
        """Delete a message; the same again has the same answer, and happens once.

        Raises:
            Forbidden: without the scope ``write`` or a name; or it is somebody else's message.
            InvalidInput: an argument is out of its bounds.
            SessionNotFound: no such session, or its token does not cover it.
            MessageNotFound: no such message in it, or one the principal may not see.
            RateLimited, Overloaded, Unavailable: as every write.
        """
        self._rights.may_write(principal)
        named(principal, "deletion of messages")
        name = entered(principal, session_id, "write")
        id_ = checks.check_id(message_id, "message_id", least=1)
        if id_ is None:
            raise InvalidInput("message_id is missing.", "Say which message.")
        await self._database.write(DeleteMessage(name, id_, principal.audience))
        return {"message_id": id_, "deleted": True}
