"""Sessions and messages: creating, listing, adding. `mcp_node.inbox` reads messages."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from mcp_node.log.interface import Database
from mcp_node.sessions import checks, listing, reads
from mcp_node.sessions.append_messages import Added, AppendMessages, within
from mcp_node.sessions.authorization import Rights, entered, need, no_guest
from mcp_node.sessions.guard import Limits
from mcp_node.sessions.new import NewMessage, NewSession
from mcp_node.sessions.operations import AppendMessage, CreateSession
from mcp_node.sessions.reads import Page
from proto.errors import Forbidden
from proto.messages import ANONYMOUS, Message, Principal, Session, Visibility
from proto.names import check_name, new_session_id
from proto.settings import Settings

Seen = Callable[[Principal, str], None]
"""Called when a principal was seen in a session."""

RECENT_MESSAGES: Final = 20
"""How many messages `Sessions.view` gives."""


class Sessions:
    """Creates, lists and describes sessions, and adds messages.

    Every method takes the calling principal first and raises `Forbidden` if it lacks the scope
    (``read`` or ``write``), `InvalidInput` for arguments out of bounds, and `SessionNotFound` for
    sessions that do not exist or that its token does not cover. Writes may also raise
    `RateLimited`, `Overloaded` and `Unavailable`. A write that is cancelled may or may not have
    been stored.

    Args:
        database: the log.
        settings: the bounds.
        rights: counts the writes.
        seen: called when a principal was active in a session.
    """

    def __init__(self, database: Database, settings: Settings, rights: Rights, seen: Seen) -> None:
        self._database = database
        self._seen = seen
        # With AUTH=off any caller may claim any name, so a limit for each name means nothing.
        verified = settings.auth != "off"
        self._most = settings.max_sessions_per_principal if verified else None
        self._settings = settings
        self._rights = rights

    async def create_session(
        self, principal: Principal, purpose: Any, session_id: Any = None, metadata: Any = None
    ) -> dict[str, Any]:
        """Create a session, or get the existing one of that id.

        ``not_used`` is there if the existing session has another purpose or metadata.
        """
        self._rights.may_write(principal)
        checked = checks.check_purpose(purpose, self._settings)
        encoded = checks.check_metadata(metadata, self._settings)
        name = new_session_id() if session_id is None else check_name(session_id, "session_id")
        if not principal.may_enter(name):
            raise Forbidden("Your token does not cover that session.")
        new = NewSession(name, checked, encoded, principal.agent_id)
        session, created = await self._database.write(CreateSession(new, self._most))
        self._seen(principal, name)
        shown = {**session.shown(), "created": created}
        if unused := _unused(new, session, has_metadata=bool(metadata)):
            shown["not_used"] = unused
        return shown

    async def list_sessions(
        self, principal: Principal, limit: Any = 20, active_since: Any = None
    ) -> list[dict[str, Any]]:
        """The sessions a principal may enter, latest activity first."""
        need(principal, "read")
        list_visible = partial(
            listing.sessions,
            audience=principal.audience,
            within=principal.sessions,
            limit=checks.check_limit(limit),
            active_since=checks.check_moment(active_since, "active_since"),
        )
        listings = await self._database.read(list_visible)
        return [
            {
                **one.session.shown(),
                "last_activity": one.last_activity,
                "message_count": one.message_count,
            }
            for one in listings
        ]

    async def view(self, principal: Principal, session_id: Any) -> tuple[dict[str, Any], Page]:
        """A session as it is shown, and its most recent visible messages."""
        name = entered(principal, session_id, "read")
        view = partial(
            reads.view, session_id=name, audience=principal.audience, limit=RECENT_MESSAGES
        )
        session, message_count, page = await self._database.read(view)
        self._seen(principal, name)
        about = {
            **session.shown(),
            "limits": Limits.of_server(self._settings).of(session)._asdict(),
            "message_count": message_count,
        }
        return about, page

    async def add_message(
        self,
        principal: Principal,
        session_id: Any,
        content: Any,
        visibility: Any = Visibility.PUBLIC,
        metadata: Any = None,
        parent_message_id: Any = None,
        idempotency_key: Any = None,
        speaking_as: Any = None,
        if_last_seen: Any = None,
    ) -> Message:
        """Add a message; it is durable when this returns.

        Args:
            principal: the author.
            session_id: the session.
            content: the text.
            visibility: who may see it.
            metadata: a JSON object, or None.
            parent_message_id: the message it replies to, or None.
            idempotency_key: a retry with the same key returns the first call's message, even if
                the session was closed since.
            speaking_as: a label for the sender; rights, limits and receipts stay the principal's.
            if_last_seen: add it only if others have added nothing after this id that the author
                may see; needs the scope ``read``. None: add it in any case.

        Raises:
            SessionClosed: the session is closed.
            ParentNotFound: the parent is not in the session, or the author may not see it.
            KeyReused: the idempotency key belongs to a different message.
            MovedOn: others have added messages after ``if_last_seen``.
            LoopGuard: a limit of the session is reached.
        """
        self._rights.may_write(principal)
        name = entered(principal, session_id, "write")
        if if_last_seen is not None:
            need(principal, "read")
        new = self._checked(
            principal,
            name,
            checks.check_label(principal.agent_id, speaking_as),
            content,
            visibility,
            metadata,
            parent_message_id,
            idempotency_key,
            if_last_seen,
        )
        message = await self._database.write(AppendMessage(new))
        if new.visibility is Visibility.PUBLIC:  # a hidden one must not show in last_seen
            self._seen(principal, name)
        return message

    async def add_messages(
        self, principal: Principal, session_id: Any, messages: Any, idempotency_key: Any = None
    ) -> Added:
        """Add several messages one after another, all or none; durable when this returns.

        Args:
            principal: the author.
            session_id: the session.
            messages: 1 to 50 objects with the fields ``content``, ``visibility``, ``metadata``
                and ``parent_message_id`` of `add_message`. Parents were added before.
            idempotency_key: a retry of the whole call with the same key returns the first
                call's messages.

        Raises:
            SessionClosed: the session is closed.
            ParentNotFound: a parent is not in the session, or the author may not see it.
            KeyReused: the idempotency key belongs to something else.
            LoopGuard: a limit of the session would be exceeded.
        """
        need(principal, "write")
        items = checks.check_messages(messages)
        self._rights.may_write(principal, len(items))
        name = entered(principal, session_id, "write")
        new = []
        for number, item in enumerate(items):
            with within(number):
                sender = principal.agent_id
                new.append(self._checked(principal, name, sender, **{"content": None, **item}))
        key = checks.check_key(idempotency_key)
        added = await self._database.write(AppendMessages(new, key))
        if any(message.visibility is Visibility.PUBLIC for message in new):
            self._seen(principal, name)
        return added

    def _checked(
        self,
        principal: Principal,
        name: str,
        sender: str,
        content: Any,
        visibility: Any = Visibility.PUBLIC,
        metadata: Any = None,
        parent_message_id: Any = None,
        idempotency_key: Any = None,
        if_last_seen: Any = None,
    ) -> NewMessage:
        """A message of a principal in a session, with its fields checked."""
        level = checks.check_visibility(visibility)
        if level is Visibility.ADMIN_ONLY and not principal.is_admin:
            raise Forbidden("admin_only messages need the scope admin.")
        if level is not Visibility.PUBLIC and principal.agent_id == ANONYMOUS:
            raise Forbidden(
                "Without a name only public messages can be written.",
                "Use visibility public, or connect with a token.",
            )
        if level is not Visibility.PUBLIC:
            no_guest(principal, f"{level} messages")
        return NewMessage(
            session_id=name,
            author=principal.audience,
            sender=sender,
            content=checks.check_content(content, self._settings),
            visibility=level,
            metadata=checks.check_metadata(metadata, self._settings),
            parent_message_id=checks.check_id(parent_message_id, "parent_message_id", least=1),
            idempotency_key=checks.check_key(idempotency_key),
            if_last_seen=checks.check_id(if_last_seen, "if_last_seen"),
        )


def _unused(new: NewSession, session: Session, *, has_metadata: bool) -> str:
    """A sentence that says which fields of ``new`` an existing session ignored, or nothing."""
    unused = [] if new.purpose == session.purpose else ["purpose"]
    if has_metadata and bytes(new.metadata) != bytes(session.metadata):
        unused.append("metadata")
    if not unused:
        return ""
    were = "were" if len(unused) > 1 else "was"
    return (
        f"The session exists already, so your {' and '.join(unused)} {were} not used. "
        "Whoever made it may change what it has with update_session."
    )
