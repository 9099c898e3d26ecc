"""Moderation: closing a session, and changing its purpose, metadata and limits."""

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
"""The highest limit of a session, the same as in the settings."""


class Moderation:
    """Closes and changes sessions, for their creators, admins and people.

    Only admins and people may set limits, so that no agent can lift the guard that stops it.
    Every method takes the calling principal first and raises `Forbidden` if it may not do this,
    `SessionNotFound` for sessions that do not exist or that its token does not cover, and
    `RateLimited`, `Overloaded` and `Unavailable` as every write does.

    Args:
        database: the log.
        settings: the bounds, and the limits of sessions without their own.
        rights: counts the writes.
        changed: called with each session that was closed or changed; must not raise.
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
        """Close a session for good and return it. Closing it again changes nothing."""
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
        """Change a session and return it. Arguments that are None change nothing.

        Args:
            principal: the caller.
            session_id: the session.
            purpose: as in `Sessions.create_session`.
            metadata: as in `Sessions.create_session`; it replaces the former metadata.
            messages_per_minute: of one principal; 0 for no limit, -1 for the server's.
            agent_messages: of all agents since the last public message of a person; 0 for no
                limit, -1 for the server's.

        Raises:
            InvalidInput: every argument is None, or one is out of bounds.
            SessionClosed: the session is closed.
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
        """Store the change. `changed` is called even if the caller is cancelled meanwhile."""
        writing = asyncio.ensure_future(self._database.write(operation))
        writing.add_done_callback(self._tell)
        return await asyncio.shield(writing)

    def _tell(self, writing: asyncio.Future[Session]) -> None:
        if not writing.cancelled() and writing.exception() is None:
            self._changed(writing.result())

    def _writing(self, principal: Principal, session_id: Any) -> str:
        """The id of a session that the principal may write to; the call counts as a write."""
        self._rights.may_write(principal)
        named(principal, "closing or changing of sessions")
        no_guest(principal, "say over the session itself")
        return entered(principal, session_id, "write")

    def _shown(self, session: Session) -> dict[str, Any]:
        limits = Limits.of_server(self._settings).of(session)
        return {**session.shown(), "limits": limits._asdict()}


def _is_trusted(principal: Principal) -> bool:
    """Whether it is an admin or a person. A guest is neither, whatever its link allows."""
    return principal.agent_type == HUMAN or (principal.is_admin and not principal.is_guest)


def _may_moderate(principal: Principal, session: Session) -> bool:
    return _is_trusted(principal) or principal.agent_id == session.created_by


def _check_limit(value: Any, what: str) -> int | None:
    """A limit of a session; None stands for the server's."""
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= MOST:
        raise InvalidInput(
            f"{what} must be an integer from 0 (no limit) to {MOST}, or -1 (the server's own)."
        )
    return None if value == -1 else value
