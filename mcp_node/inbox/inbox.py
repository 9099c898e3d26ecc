"""Inbox: reading messages, with read positions."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any

from mcp_node.coordination.claims import Claims
from mcp_node.inbox.pages import Pages
from mcp_node.inbox.read_positions import Readers
from mcp_node.inbox.revisions import revisions
from mcp_node.log.interface import Database
from mcp_node.sessions import checks, reads
from mcp_node.sessions.authorization import entered, named
from mcp_node.sessions.reads import Page, PageQuery
from mcp_node.sessions.sessions import Sessions
from proto.errors import InvalidInput
from proto.messages import Message, Principal


class Inbox:
    """Reads messages; methods raise as those of `Sessions` do.

    Args:
        database: the log.
        sessions: describes and lists sessions.
        readers: keeps the read positions.
        pages: reads and marks.
        claims: tells what is claimed in a session.
    """

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        readers: Readers,
        pages: Pages,
        claims: Claims,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._readers = readers
        self._pages = pages
        self._claims = claims

    async def unread(self, principal: Principal, session_id: str) -> int:
        """How many messages of others a principal has not read in a session, up to 1,000."""
        return await self._readers.unread(principal, session_id)

    async def list_sessions(
        self, principal: Principal, limit: Any = 20, active_since: Any = None
    ) -> list[dict[str, Any]]:
        """The sessions a principal may enter, latest activity first, with their unread counts."""
        listed = await self._sessions.list_sessions(principal, limit, active_since)
        names = [one["session_id"] for one in listed]
        unread = await self._readers.unread_in(principal, names)
        return [{**one, "unread": unread[one["session_id"]]} for one in listed]

    async def get_session(
        self, principal: Principal, session_id: Any, *, mark_read: bool
    ) -> dict[str, Any]:
        """A session, its most recent messages, and what is claimed in it, if anything is.

        Args:
            principal: who reads.
            session_id: the session.
            mark_read: whether the messages count as read by the principal.
        """
        name = entered(principal, session_id, "read")
        async with self._turn(principal, name, mark_read):
            about, page = await self._sessions.view(principal, name)
            if mark_read:
                await self._pages.given(principal, name, page, None)
        view = {**about, **page.shown()}
        if claims := await self._claims.of(name):
            view["claims"] = claims
        return view

    async def get_messages(
        self, principal: Principal, query: PageQuery, *, mark_read: bool
    ) -> dict[str, Any]:
        """A page of messages, ascending by id.

        Args:
            principal: who reads.
            query: what to read, from `mcp_node.sessions.checks.check_page`.
            mark_read: whether the page counts as read by the principal. Then a page ``after`` an
                id, without filters, also has the deletions and edits that happened there.
        """
        name = entered(principal, query.session_id, "read")
        if mark_read and query.after is not None and not query.filtered:
            query = query._replace(entries="changes")
        async with self._turn(principal, name, mark_read):
            await self._enter(principal, name)
            page = await self._pages.read(principal, query)
            if mark_read and query.filtered:
                await self._readers.was_given_out_of_turn(principal, name, page.messages)
            elif mark_read:
                await self._pages.given(principal, name, page, query.after)
        return page.shown()

    async def get_revisions(
        self, principal: Principal, session_id: Any, message_id: Any
    ) -> dict[str, Any]:
        """The texts of a message that a principal saw, oldest first; the last is today's.

        Raises:
            MessageNotFound: the session has no such message that the principal may see.
        """
        name = entered(principal, session_id, "read")
        id_ = checks.check_message_id(message_id)
        await self._enter(principal, name)
        await self._readers.save()  # when it was given the message may not be stored yet
        look = partial(revisions, session_id=name, audience=principal.audience, message_id=id_)
        return Page(await self._database.read(look), False).shown()

    async def get_unread(
        self, principal: Principal, session_id: Any, limit: Any = 50
    ) -> dict[str, Any]:
        """Others' messages and deletions that are not read yet, oldest first; they are then read.

        Args:
            principal: who reads.
            session_id: the session.
            limit: the most messages, 1 to 1,000.

        Raises:
            Forbidden: the principal has no name, so it has no read position.
        """
        name = entered(principal, session_id, "read")
        async with self._readers.turn(principal, name):
            await self._enter(principal, name)
            named(principal, "read position")
            page, _ = await self._pages.unread(principal, name, checks.check_limit(limit))
        return page.shown()

    async def read_through(self, principal: Principal, session_id: Any, through: Any) -> int:
        """Mark everything up to a message as read; returns what is unread then.

        Raises:
            InvalidInput: ``through`` is not an id.
            Forbidden: the principal has no name, so it has no read position.
        """
        name = entered(principal, session_id, "read")
        await self._enter(principal, name)
        named(principal, "read position")
        position = checks.check_id(through, "through", least=1)
        if position is None:
            raise InvalidInput("through is needed.")
        head = await self._database.read(partial(reads.session_head, session_id=name))
        await self._readers.read_through(principal, name, min(position, head))
        return await self._readers.unread(principal, name)

    async def was_told(
        self, principal: Principal, session_id: Any, messages: Sequence[Message]
    ) -> None:
        """Mark messages as read that an error told a principal; those between stay unread."""
        name = entered(principal, session_id, "read")
        async with self._readers.turn(principal, name):
            self._readers.seen(principal, name)
            await self._readers.was_given_out_of_turn(principal, name, messages)

    def _turn(
        self, principal: Principal, name: str, mark_read: bool
    ) -> AbstractAsyncContextManager[None]:
        """`Readers.turn` if what is read is then marked as read."""
        return self._readers.turn(principal, name) if mark_read else nullcontext()

    async def _enter(self, principal: Principal, name: str) -> None:
        await self._database.read(partial(reads.session, session_id=name))
        self._readers.seen(principal, name)
