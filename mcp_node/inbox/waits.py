"""Waiting for messages: those that are there already, or the first that come."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from mcp_node.inbox.pages import Pages
from mcp_node.inbox.read_positions import Readers
from mcp_node.inbox.unread import ReadPosition, mentioning, unread_part
from mcp_node.inbox.waiting import HELD, Waiter, Waiting, Wish
from mcp_node.log.interface import Database
from mcp_node.sessions import checks, reads
from mcp_node.sessions.authorization import entered, named
from mcp_node.sessions.reads import Page, PageQuery
from proto.errors import InvalidInput, Unauthenticated
from proto.messages import ANONYMOUS, Principal, utc
from proto.messages import seconds as to_seconds

MAX_WAIT_SECONDS: Final = 300.0
PROGRESS_SECONDS: Final = 10.0
"""How often a pending wait reports progress."""

MAX_SETTLE_SECONDS: Final = 30.0

Report = Callable[[float, float], Awaitable[None]]
"""Called with the seconds that have passed, and those of the whole wait."""


class Waits:
    """Waits for messages; methods raise as those of `Sessions` do.

    Args:
        database: the log.
        readers: keeps the read positions.
        pages: reads what is there.
        waiting: wakes those that wait.
        is_valid: whether a principal's token is still valid; checked before a wait is answered.
    """

    def __init__(
        self,
        database: Database,
        readers: Readers,
        pages: Pages,
        waiting: Waiting,
        is_valid: Callable[[Principal], bool],
    ) -> None:
        self._database = database
        self._readers = readers
        self._pages = pages
        self._waiting = waiting
        self._is_valid = is_valid

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
                page, start = await self._pages.unread(principal, name, HELD, give)
        waiter.only_after(start)
        return page

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

    async def _after(
        self, principal: Principal, name: str, since: int, give: bool
    ) -> tuple[Page, int]:
        """Everything after an id, and that id."""
        page = await self._pages.read(
            principal, PageQuery(name, since, None, HELD, entries="changes")
        )
        if give:
            await self._pages.given(principal, name, page, since)
        return page, since

    def _check_alive(self, principal: Principal) -> None:
        if not self._is_valid(principal):
            raise Unauthenticated("The token has expired or was revoked.")


def _unsettled(page: Page, settle: float) -> float:
    """For how many seconds nobody must speak before a page may be given; 0 if it may be now."""
    if not settle or not page.messages or page.has_more or len(page.messages) >= HELD:
        return 0.0
    quiet = max(0.0, time.time() - to_seconds(page.messages[-1].timestamp))
    return max(0.0, settle - quiet)
