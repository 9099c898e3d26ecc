"""The service that deletes messages, for their senders and for admins."""

from typing import Any

from mcp_node.log.interface import Database
from mcp_node.sessions import checks
from mcp_node.sessions.authorization import Rights, entered, named
from mcp_node.sessions.delete_message import DeleteMessage
from proto.messages import Principal


class Deletion:
    """Deletes messages, in open and in closed sessions."""

    def __init__(self, database: Database, rights: Rights) -> None:
        self._database = database
        self._rights = rights

    async def delete_message(
        self, principal: Principal, session_id: Any, message_id: Any
    ) -> dict[str, Any]:
        """Delete a message. A repeated call has the same answer and changes nothing.

        Raises:
            Forbidden: the principal lacks the scope ``write`` or a name, or it is neither the
                message's author nor an admin.
            InvalidInput: an argument is out of bounds.
            SessionNotFound: there is no such session, or the token does not cover it.
            MessageNotFound: the session has no such message that the principal may see.
            RateLimited, Overloaded, Unavailable: as for every write.
        """
        self._rights.may_write(principal)
        named(principal, "deletion of messages")
        name = entered(principal, session_id, "write")
        id_ = checks.check_message_id(message_id)
        await self._database.write(DeleteMessage(name, id_, principal.audience))
        return {"message_id": id_, "deleted": True}
