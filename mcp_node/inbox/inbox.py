"""Inbox: reading messages and waiting for them, with read positions."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any, Final

from mcp_node.inbox.read_positions import Readers
from mcp_node.inbox.unread import ReadPosition, mentioning, news, told_through, unread_part
from mcp_node.inbox.waiting import HELD, Waiter, Waiting, Wish
from mcp_node.log.interface import Database
from mcp_node.sessions import checks, reads
from mcp_node.sessions.authorization import entered, named
from mcp_node.sessions.reads import Page, PageQuery
from mcp_node.sessions.sessions import Sessions
from proto.errors import InvalidInput, Unauthenticated
from proto.messages import ANONYMOUS, Message, Principal, utc
from proto.messages import seconds as to_seconds

MAX_WAIT_SECONDS: Final = 300.0
PROGRESS_SECONDS: Final = 10.0
"""How often a pending wait reports progress."""

MAX_SETTLE_SECONDS: Final = 30.0

Report = Callable[[float, float], Awaitable[None]]
"""Called with the seconds that have passed, and those of the whole wait."""


class Inbox:
    """Reads messages and waits for them; methods raise as those of `Sessions` do.

    Args:
        database: the log.
        sessions: describes and lists sessions.
        readers: keeps the read positions.
        waiting: wakes those that wait.
        is_valid: whether a principal's token is still valid; checked before a wait is answered.
    """

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        readers: Readers,
        waiting: Waiting,
        is_valid: Callable[[Principal], bool],
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._readers = readers
        self._waiting = waiting
        self._is_valid = is_valid

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
        """A session and its most recent messages.

        Args:
            principal: who reads.
            session_id: the session.
            mark_read: whether the messages count as read by the principal.
        """
        name = entered(principal, session_id, "read")
        async with self._turn(principal, name, mark_read):
            about, page = await self._sessions.view(principal, name)
            if mark_read:
                await self._given(principal, name, page, None)
        return {**about, **page.shown()}

    async def get_messages(
        self, principal: Principal, query: PageQuery, *, mark_read: bool
    ) -> dict[str, Any]:
        """A page of messages, ascending by id.

        Args:
            principal: who reads.
            query: what to read, from `mcp_node.sessions.checks.check_page`.
            mark_read: whether the page counts as read by the principal. Then a page ``after`` an
                id, without filters, also has the deletions that happened there.
        """
        name = entered(principal, query.session_id, "read")
        if mark_read and query.after is not None and not query.filtered:
            query = query._replace(deletions=True)
        async with self._turn(principal, name, mark_read):
            await self._enter(principal, name)
            page = await self._page(principal, query)
            if mark_read and query.filtered:
                await self._readers.was_given_out_of_turn(principal, name, page.messages)
            elif mark_read:
                await self._given(principal, name, page, query.after)
        return page.shown()

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
            page, _ = await self._unread(principal, name, checks.check_limit(limit))
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

    async def wait(
        self,
        principal: Principal,
        session_id: Any,
        after: Any = None,
        timeout_seconds: Any = 50.0,
        wanted: Any = "all",
        thread: Any = None,
        sender: Any = None,
        settle_seconds: Any = 0,
        report: Report | None = None,
    ) -> dict[str, Any]:
        """Unread messages if there are any, else the first messages that are added.

        What is returned counts as read. Cancelling the wait marks nothing as read.

        Args:
            principal: the caller.
            session_id: the session.
            after: wait for everything visible after this id, the caller's own messages included.
                None: wait for others' messages that the caller has not read.
            timeout_seconds: 0 to 300.
            wanted: ``all``, or ``calls``: only others' messages that mention the caller or reply
                to it.
            thread: only messages under this one.
            sender: only this sender's messages.
            settle_seconds: 0 to 30: return only once no further message has come for so long, or
                the timeout has passed.
            report: called every 10 seconds with the progress.

        Raises:
            MessageNotFound: the session has no such message as ``thread`` that the caller may see.
            RateLimited: the caller has too many waits at once.
            Unauthenticated: the caller's token expired or was revoked during the wait.
        """
        name = entered(principal, session_id, "read")
        since = checks.check_id(after, "after")
        seconds = checks.check_seconds(timeout_seconds, "timeout_seconds", most=MAX_WAIT_SECONDS)
        settle = checks.check_seconds(settle_seconds, "settle_seconds", most=MAX_SETTLE_SECONDS)
        if wanted not in ("all", "calls"):
            raise InvalidInput("wanted must be all or calls.")
        wish = Wish(
            wanted == "calls",
            checks.check_id(thread, "thread", least=1),
            checks.check_sender(sender),
        )
        with self._waiting.wait(
            name, principal, own=since is not None, wish=wish, collects=settle > 0
        ) as waiter:
            look = partial(reads.session, session_id=name)
            session = await self._database.read(look)  # only now, so that no closing is missed
            self._readers.seen(principal, name)
            if since is None and wish.filtered and principal.agent_id == ANONYMOUS:
                since = await self._database.read(partial(reads.session_head, session_id=name))
            page = await self._there(waiter, name, since, give=not settle)
            waiter.closed = waiter.closed or session.closed_at is not None
            waiter.look_again = waiter.look_again or bool(settle)
            if settle or not page.messages:
                try:
                    page = await self._listen(waiter, name, since, seconds, settle, report)
                finally:
                    self._readers.waits(principal, name, "")
            return {**page.shown(), "outcome": self._outcome(page, waiter)}

    def _outcome(self, page: Page, waiter: Waiter) -> str:
        if page.messages:
            return "messages"
        if waiter.closed:
            return "closed"
        return "server_stopping" if self._waiting.ended else "timeout"

    async def _listen(
        self,
        waiter: Waiter,
        name: str,
        since: int | None,
        seconds: float,
        settle: float,
        report: Report | None,
    ) -> Page:
        """The first messages to come; an empty page on timeout, closing or shutdown.

        With ``settle`` they are read without marking them until no further one has come for so
        many seconds, and only then given.
        """
        begin = time.monotonic()
        self._tell(waiter.principal, name)
        while True:
            passed = time.monotonic() - begin
            ends = waiter.closed or self._waiting.ended or passed >= seconds
            pause = 0.0
            if waiter.look_again:
                self._check_alive(waiter.principal)
                waiter.look_again = False
                page = await self._there(waiter, name, since, give=not settle)
                pause = 0.0 if ends else _unsettled(page, settle)
                if page.messages and not pause:
                    if settle:
                        page = await self._there(waiter, name, since)
                    if page.messages:
                        return page
            if waiter.heard:
                self._check_alive(waiter.principal)
                return await self._heard(waiter, name)
            if ends:
                return Page([], False)
            patience = min(PROGRESS_SECONDS, seconds - passed, pause or PROGRESS_SECONDS)
            woken = await waiter.woken(max(0.0, patience))
            waiter.look_again = waiter.look_again or pause > 0
            if not woken:
                self._check_alive(waiter.principal)
                self._tell(waiter.principal, name)
                if report is not None:
                    await report(min(time.monotonic() - begin, seconds), seconds)

    def _tell(self, principal: Principal, name: str) -> None:
        """Tell other nodes that a principal waits here, until it should have been told again."""
        self._readers.waits(principal, name, utc(time.time() + 3 * PROGRESS_SECONDS))

    async def _heard(self, waiter: Waiter, name: str) -> Page:
        """The messages a waiter was woken with, marked as read.

        They follow directly on what `_there` read: the waiter held everything from then on.
        """
        page = Page(waiter.heard, waiter.more)
        if waiter.wish.calls or waiter.wish.filtered:
            await self._readers.was_given_out_of_turn(waiter.principal, name, page.messages)
        else:
            await self._readers.was_given(waiter.principal, name, page.messages, waiter.after)
        return page

    async def _there(
        self, waiter: Waiter, name: str, since: int | None, *, give: bool = True
    ) -> Page:
        """The messages that are there already; the waiter then ignores anything up to them.

        ``give``: whether they then count as read.
        """
        principal = waiter.principal
        async with self._readers.turn(principal, name):
            if waiter.wish.calls or waiter.wish.filtered:
                page, start = await self._wished(principal, name, since, waiter.wish)
                if give:
                    await self._readers.was_given_out_of_turn(principal, name, page.messages)
            elif since is not None:
                page, start = await self._after(principal, name, since, give)
            elif principal.agent_id == ANONYMOUS:  # it has no read position: only new messages
                page, start = Page([], False), waiter.after
                if not start:
                    head = partial(reads.session_head, session_id=name)
                    start = await self._database.read(head)
            else:
                page, start = await self._unread(principal, name, HELD, give)
        waiter.only_after(start)
        return page

    async def _after(
        self, principal: Principal, name: str, since: int, give: bool
    ) -> tuple[Page, int]:
        """Everything after an id, and that id."""
        page = await self._page(principal, PageQuery(name, since, None, HELD, deletions=True))
        if give:
            await self._given(principal, name, page, since)
        return page, since

    async def _unread(
        self, principal: Principal, name: str, limit: int, give: bool = True
    ) -> tuple[Page, int]:
        """The oldest of others' unread entries, and the id up to which all is read with them.

        For a principal that has read nothing yet in the session: the newest of them.
        """
        reach = await self._readers.reach(principal, name)
        place = reach.place or ReadPosition()
        page, through, needless = await self._database.read(
            partial(news, audience=principal.audience, reach=reach, limit=limit)
        )
        after = place.position or 0
        if place.position is None and page.has_more:
            after = page.messages[0].id - 1
        if give:
            await self._readers.was_given_out_of_turn(principal, name, needless)
            await self._readers.was_given(principal, name, page.messages, after, through)
        return (Page(page.messages, False) if place.position is None else page), through

    async def _wished(
        self, principal: Principal, name: str, since: int | None, wish: Wish
    ) -> tuple[Page, int]:
        """A part of the unread messages, or of all after an id; and where further ones begin."""
        if wish.calls:
            named(principal, "mention")
        reach = await self._readers.reach(principal, name)
        look = partial(mentioning if wish.calls else unread_part, audience=principal.audience)
        page = await self._database.read(
            partial(
                look, reach=reach, after=since, limit=HELD, thread=wish.thread, sender=wish.sender
            )
        )
        place = reach.place or ReadPosition()
        return page, max(place.position or 0, place.furthest) if since is None else since

    async def _given(self, principal: Principal, name: str, page: Page, after: int | None) -> None:
        """Mark an unfiltered page as read: one after ``after``, or if that is None the newest.

        A newest page shows which of its messages are deleted, but not the deletions of others;
        if there is one that it does not tell of, its messages are marked one by one.
        """
        if not page.messages or principal.agent_id == ANONYMOUS:
            return
        if after is not None:
            await self._readers.was_given(principal, name, page.messages, after)
            return
        start = 0 if not page.has_more else page.messages[0].id - 1
        shown = [message.id for message in page.messages]
        reach = await self._readers.reach(principal, name)
        position = (reach.place or ReadPosition()).position
        through: int | None = 0
        if position is None or start <= position:
            through = await self._database.read(
                partial(told_through, audience=principal.audience, reach=reach, shown=shown)
            )
        if through is None:
            await self._readers.was_given_out_of_turn(principal, name, page.messages)
        else:
            await self._readers.was_given(principal, name, page.messages, start, through)

    async def _page(self, principal: Principal, query: PageQuery) -> Page:
        return await self._database.read(
            partial(reads.page, audience=principal.audience, query=query)
        )

    def _turn(
        self, principal: Principal, name: str, mark_read: bool
    ) -> AbstractAsyncContextManager[None]:
        """`Readers.turn` if what is read is then marked as read."""
        return self._readers.turn(principal, name) if mark_read else nullcontext()

    async def _enter(self, principal: Principal, name: str) -> None:
        await self._database.read(partial(reads.session, session_id=name))
        self._readers.seen(principal, name)

    def _check_alive(self, principal: Principal) -> None:
        if not self._is_valid(principal):
            raise Unauthenticated("The token has expired or was revoked.")


def _unsettled(page: Page, settle: float) -> float:
    """For how many seconds nobody must speak before a page may be given; 0 if it may be now."""
    if not settle or not page.messages or page.has_more or len(page.messages) >= HELD:
        return 0.0
    quiet = max(0.0, time.time() - to_seconds(page.messages[-1].timestamp))
    return max(0.0, settle - quiet)
