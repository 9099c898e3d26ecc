"""Hearing: waiting for messages, and reading on from where one has read to."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from mcp_node import checks
from mcp_node.rooms.readers import Readers
from mcp_node.rooms.rights import entered, named
from mcp_node.rooms.rooms import Rooms, shown_page
from mcp_node.rooms.waiting import HELD, Waiter, Waiting
from mcp_node.store.interface import Page, Store
from mcp_node.store.readers import mentioning
from proto.errors import InvalidInput, Unauthenticated
from proto.messages import ANONYMOUS, Principal

MAX_WAIT_SECONDS: Final = 300.0
PROGRESS_SECONDS: Final = 10.0
"""How often somebody who waits hears that it still does."""

Report = Callable[[float, float], Awaitable[None]]
"""Told how many seconds of how many have passed."""


class Hearing:
    """Reading and waiting, with read positions; methods raise as those of `Rooms` do.

    Args:
        store: the log.
        rooms: pages come from there.
        readers: keep the positions.
        waiting: wakes.
        is_valid: whether somebody's token still is; else it hears nothing more.
    """

    def __init__(
        self,
        store: Store,
        rooms: Rooms,
        readers: Readers,
        waiting: Waiting,
        is_valid: Callable[[Principal], bool],
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._readers = readers
        self._waiting = waiting
        self._is_valid = is_valid

    async def unread(self, principal: Principal, session_id: str) -> int:
        """How many messages of others a principal has not read, up to 1,000."""
        return await self._readers.unread(principal, session_id)

    async def list_sessions(
        self, principal: Principal, limit: Any = 20, active_since: Any = None
    ) -> list[dict[str, Any]]:
        """The sessions a principal may enter, latest activity first, and what it has not read."""
        listed = await self._rooms.list_sessions(principal, limit, active_since)
        names = [one["session_id"] for one in listed]
        unread = await self._readers.unread_in(principal, names)
        return [{**one, "unread": unread[one["session_id"]]} for one in listed]

    async def get_session(self, principal: Principal, session_id: Any) -> dict[str, Any]:
        """A session and its most recent messages, which are then read."""
        about, page = await self._rooms.view(principal, session_id)
        await self._given(principal, about["session_id"], page, None)
        return {**about, **shown_page(page)}

    async def get_messages(
        self,
        principal: Principal,
        session_id: Any,
        after: Any = None,
        before: Any = None,
        limit: Any = 50,
        sender: Any = None,
        visibility: Any = None,
        unread_only: bool = False,
    ) -> dict[str, Any]:
        """A page of messages; unless it is filtered, they are then read.

        With ``unread_only`` those of others that were not read yet, oldest first.
        """
        chosen = (after, before, sender, visibility)
        if unread_only:
            if any(value is not None for value in chosen):
                raise InvalidInput(
                    "unread_only goes with limit alone.",
                    "Leave out after, before, sender and visibility.",
                )
            name = await self._entered(principal, session_id)
            named(principal, "read position")
            page, _ = await self._unread(principal, name, checks.check_limit(limit))
            return shown_page(page)
        page = await self._rooms.page(
            principal, session_id, after, before, limit, sender, visibility
        )
        if sender is None and visibility is None:
            await self._given(principal, session_id, page, after)
        return shown_page(page)

    async def read_through(self, principal: Principal, session_id: Any, through: Any) -> int:
        """Say that everything up to a message was read, such as by a person; what is left unread.

        Raises:
            InvalidInput: ``through`` is no id.
        """
        name = await self._entered(principal, session_id)
        named(principal, "read position")
        position = checks.check_id(through, "through", least=1)
        if position is None:
            raise InvalidInput("through is needed.")
        head = await self._store.session_head(name)
        await self._readers.read_through(principal, name, min(position, head))
        return await self._readers.unread(principal, name)

    async def wait(
        self,
        principal: Principal,
        session_id: Any,
        after: Any = None,
        timeout_seconds: Any = 55.0,
        mentions_only: bool = False,
        report: Report | None = None,
    ) -> dict[str, Any]:
        """Messages that are there already, or the first that come.

        Args:
            principal: who waits.
            session_id: where.
            after: everything visible after this id, one's own messages too. None: others'
                messages that one has not read.
            timeout_seconds: 0 to 300.
            mentions_only: only others' messages that mention one.
            report: told every 10 seconds how long it has been.

        Raises:
            RateLimited: it waits in too many places at once.
            Unauthenticated: its token died meanwhile.
        """
        name = await self._entered(principal, session_id)
        since = checks.check_id(after, "after")
        seconds = checks.check_seconds(timeout_seconds, "timeout_seconds", most=MAX_WAIT_SECONDS)
        with self._waiting.wait(
            name, principal, own=since is not None, mentions_only=mentions_only
        ) as waiter:
            if mentions_only:
                page, start = await self._mentions(principal, name, since)
            else:
                page, start = await self._there(principal, name, since)
            if not page.messages:
                waiter.only_after(start)
                await self._listen(waiter, seconds, report)
                self._check_alive(principal)
                page = await self._heard(principal, name, waiter, mentions_only)
        outcome = "messages" if page.messages else "timeout"
        if self._waiting.ended and not page.messages:
            outcome = "server_stopping"
        return {**shown_page(page), "outcome": outcome}

    async def _listen(self, waiter: Waiter, seconds: float, report: Report | None) -> None:
        """Until something is heard, the time is over, or the node stops."""
        begin = time.monotonic()
        while not waiter.heard and not self._waiting.ended:
            passed = time.monotonic() - begin
            if passed >= seconds:
                return
            woken = await waiter.woken(min(PROGRESS_SECONDS, seconds - passed))
            if not woken:
                self._check_alive(waiter.principal)
                if report is not None:
                    await report(min(time.monotonic() - begin, seconds), seconds)

    async def _heard(
        self, principal: Principal, name: str, waiter: Waiter, mentions_only: bool
    ) -> Page:
        """What a waiter was woken with; nothing lies between it and what there was before."""
        page = Page(waiter.heard, waiter.more)
        if mentions_only:
            await self._readers.was_called(principal, name, page.messages, waiter.after)
        else:
            await self._readers.was_given(principal, name, page.messages, waiter.after)
        return page

    async def _there(self, principal: Principal, name: str, since: int | None) -> tuple[Page, int]:
        """What there is already, and the id it comes after."""
        if since is not None:
            page = await self._store.page(
                name, principal.audience, after=since, before=None, limit=HELD
            )
            await self._given(principal, name, page, since)
            return page, since
        if principal.agent_id == ANONYMOUS:  # nobody's position: it hears what comes from now on
            return Page([], False), await self._store.session_head(name)
        return await self._unread(principal, name, HELD)

    async def _unread(self, principal: Principal, name: str, limit: int) -> tuple[Page, int]:
        """Others' messages not read yet, oldest first (the newest of them on the first time)."""
        place = await self._readers.place(principal, name)
        page = await self._store.page(
            name,
            principal.audience,
            after=place.position,
            before=None,
            limit=limit,
            not_by=principal.agent_id,
        )
        await self._given(principal, name, page, place.position)
        if place.position is None:
            return Page(page.messages, False), 0
        return page, place.position

    async def _mentions(
        self, principal: Principal, name: str, since: int | None
    ) -> tuple[Page, int]:
        named(principal, "mention")
        if since is None:
            place = await self._readers.place(principal, name)
            since = max(place.position or 0, place.mentions_through)
        start = since

        page = await self._store.read(
            lambda connection: mentioning(connection, name, principal.audience, start, HELD)
        )
        await self._readers.was_called(principal, name, page.messages, start)
        return page, start

    async def _given(self, principal: Principal, name: str, page: Page, after: int | None) -> None:
        """A page is handed out: its reader has everything after ``after``, or as far as it goes."""
        if page.messages:
            whole = 0 if not page.has_more else page.messages[0].id - 1
            start = whole if after is None else after
            await self._readers.was_given(principal, name, page.messages, start)

    async def _entered(self, principal: Principal, session_id: Any) -> str:
        name = entered(principal, session_id, "read")
        await self._store.get_session(name)
        self._readers.seen(principal, name)
        return name

    def _check_alive(self, principal: Principal) -> None:
        if not self._is_valid(principal):
            raise Unauthenticated("The token has expired or was revoked.")
