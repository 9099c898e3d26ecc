"""The service by which principals react to messages."""

from typing import Any

from mcp_node.log.interface import Database
from mcp_node.sessions import checks
from mcp_node.sessions.authorization import Rights, entered, named
from mcp_node.sessions.reactions import REACTIONS, React
from proto.errors import InvalidInput
from proto.messages import Principal


class Reacting:
    """Adds and removes reactions in open sessions."""

    def __init__(self, database: Database, rights: Rights) -> None:
        self._database = database
        self._rights = rights

    async def react(
        self,
        principal: Principal,
        session_id: Any,
        message_id: Any,
        reaction: Any,
        remove: bool = False,
    ) -> dict[str, Any]:
        """Add a reaction of a principal to a message, or take it back.

        A repeated call has the same answer and changes nothing.

        Raises:
            Forbidden: the principal lacks the scope ``write``, or a name.
            InvalidInput: an argument is out of bounds, the message was deleted, or it has too many
                reactions.
            SessionNotFound: there is no such session, or the token does not cover it.
            MessageNotFound: the session has no such message that the principal may see.
            SessionClosed: the session is closed.
            RateLimited, Overloaded, Unavailable: as for every write.
        """
        self._rights.may_write(principal)
        named(principal, "reaction")
        name = entered(principal, session_id, "write")
        id_ = checks.check_message_id(message_id)
        if reaction not in REACTIONS:
            raise InvalidInput(f"reaction must be one of: {', '.join(REACTIONS)}.")
        await self._database.write(React(name, id_, principal.audience, reaction, remove=remove))
        return {"message_id": id_, "reaction": reaction, "removed": remove}
