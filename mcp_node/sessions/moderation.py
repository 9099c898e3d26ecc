"""Moderation: closing a session, saying anew what it is for, and its limits against loops."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from mcp_node.log.interface import Database
from mcp_node.sessions import checks
from mcp_node.sessions.authorization import Rights, entered, named, no_guest
from mcp_node.sessions.changes import CloseSession, UpdateSession
from mcp_node.sessions.guard import Limits
from proto.errors import Forbidden, InvalidInput
from proto.messages import HUMAN, Principal, Session
from proto.settings import Settings

MOST: Final = 1_000_000
"""The highest limit; also that of the settings."""


class Moderation:
    """What only some may do with a session: who made it, admins, and people.

    Its limits are set by admins and people alone, so that no agent lifts the guard that holds it.
    Every method takes the asking principal first and raises `Forbidden` for others,
    `SessionNotFound` for sessions that do not exist or that its token does not cover, and
    `RateLimited`, `Overloaded` and `Unavailable` as every write does.

    Args:
        database: where sessions are.
        settings: has the bounds, and the server's own limits.
        rights: count the writes.
        changed: told a session that is not what it was; must not raise.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        rights: Rights,
        changed: Callable[[Session], None],
    ) -> None:
        self._database = database
        self._changed = changed
        self._settings = settings
        self._rights = rights

    async def close_session(self, principal: Principal, session_id: Any) -> dict[str, Any]:
        """Make a session read-only, for ever; the session. Closing it again changes nothing."""
        name = self._writing(principal, session_id)
        closing = CloseSession(name, lambda session: _may_moderate(principal, session))
        return self._shown(await self._stored(closing))

    async def update_session(
        self,
        principal: Principal,
        session_id: Any,
        purpose: Any = None,
        metadata: Any = None,
        messages_per_minute: Any = None,
        agent_messages: Any = None,
    ) -> dict[str, Any]:
        """Change what is given; the session as it is then.

        Args:
            principal: who asks.
            session_id: the session.
            purpose: as in `Sessions.create_session`.
            metadata: the same; it replaces all that was there.
            messages_per_minute: of one principal; 0 for no limit, -1 for the server's own.
            agent_messages: since a person's last word; 0 for no limit, -1 for the server's own.

        Raises:
            InvalidInput: there is nothing to change, or something is out of its bounds.
            SessionClosed: the session is read-only.
        """
        name = self._writing(principal, session_id)
        changes: dict[str, object] = {}
        if purpose is not None:
            changes["purpose"] = checks.check_purpose(purpose, self._settings)
        if metadata is not None:
            changes["metadata"] = checks.check_metadata(metadata, self._settings)
        limits = {"messages_per_minute": messages_per_minute, "agent_messages": agent_messages}
        for field, limit in limits.items():
            if limit is not None:
                changes[field] = _check_limit(limit, field)
        if not changes:
            raise InvalidInput("There is nothing to change.", "Give what is to be different.")
        if limits.keys() & changes.keys() and not _is_trusted(principal):
            raise Forbidden(
                "Only admins and people may set a session's limits.", "Stop, and ask a person."
            )
        updating = UpdateSession(name, lambda session: _may_moderate(principal, session), changes)
        return self._shown(await self._stored(updating))

    async def _stored(self, operation: CloseSession | UpdateSession) -> Session:
        """Store it; what follows from that happens although the caller goes away meanwhile."""
        writing = asyncio.ensure_future(self._database.write(operation))
        writing.add_done_callback(self._tell)
        return await asyncio.shield(writing)

    def _tell(self, writing: asyncio.Future[Session]) -> None:
        if not writing.cancelled() and writing.exception() is None:
            self._changed(writing.result())

    def _writing(self, principal: Principal, session_id: Any) -> str:
        """The checked id of a session the principal may write to; it is counted as a write."""
        self._rights.may_write(principal)
        named(principal, "closing or changing of sessions")
        no_guest(principal, "say over the session itself")
        return entered(principal, session_id, "write")

    def _shown(self, session: Session) -> dict[str, Any]:
        limits = Limits.of_server(self._settings).of(session)
        return {**session.shown(), "limits": limits._asdict()}


def _is_trusted(principal: Principal) -> bool:
    """Whether it is an admin or a person; whatever its link allows, a guest is neither."""
    return principal.agent_type == HUMAN or (principal.is_admin and not principal.is_guest)


def _may_moderate(principal: Principal, session: Session) -> bool:
    return _is_trusted(principal) or principal.agent_id == session.created_by


def _check_limit(value: Any, what: str) -> int | None:
    """A limit of a session; None: the server's."""
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= MOST:
        raise InvalidInput(
            f"{what} must be an integer from 0 (no limit) to {MOST}, or -1 (the server's own)."
        )
    return None if value == -1 else value
