"""Statuses: what a participant does right now, and that it has left."""

import time
from collections.abc import Callable
from typing import Any, Final

from mcp_node.coordination.claim_rows import Clock
from mcp_node.coordination.claims import check_minutes
from mcp_node.coordination.status_rows import Leave, SetStatus
from mcp_node.log.interface import Database
from mcp_node.sessions.authorization import Rights, entered, named
from proto.errors import InvalidInput
from proto.messages import Principal, utc
from proto.strictjson import check_text

STATUS_CHARS: Final = 200


class Statuses:
    """Sets statuses, for list_agents. Methods raise as those of `Sessions` do.

    Args:
        database: where they are stored.
        rights: counts the writes.
        seen: called when a principal was active in a session.
        clock: seconds of Unix time.
    """

    def __init__(
        self,
        database: Database,
        rights: Rights,
        seen: Callable[[Principal, str], None],
        *,
        clock: Clock = time.time,
    ) -> None:
        self._database = database
        self._rights = rights
        self._seen = seen
        self._clock = clock

    async def set(
        self, principal: Principal, session_id: Any, text: Any, minutes: Any = 15
    ) -> dict[str, Any]:
        """Set the principal's status; an empty text clears it.

        Args:
            principal: whose.
            session_id: the session.
            text: at most 200 characters.
            minutes: how long it is shown, 1 to 1,440.
        """
        name = self._writing(principal, session_id)
        if not isinstance(text, str) or len(text) > STATUS_CHARS:
            raise InvalidInput(f"text must be a string of at most {STATUS_CHARS} characters.")
        check_text(text, "text")
        lasting = check_minutes(minutes) * 60
        until = utc(self._clock() + lasting) if text.strip() else ""
        await self._database.write(SetStatus(name, principal.agent_id, text, until))
        self._seen(principal, name)
        return {"until": until} if until else {"cleared": True}

    async def leave(self, principal: Principal, session_id: Any) -> dict[str, Any]:
        """Say that the principal has left, until it is active in the session again."""
        name = self._writing(principal, session_id)
        at = utc(self._clock())
        await self._database.write(Leave(name, principal.agent_id, at))
        return {"left_at": at}

    def _writing(self, principal: Principal, session_id: Any) -> str:
        self._rights.may_write(principal)
        named(principal, "status")
        return entered(principal, session_id, "write")
