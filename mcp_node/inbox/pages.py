"""Pages of a session for its readers, and what of them then counts as read."""

from functools import partial

from mcp_node.inbox.read_positions import Readers
from mcp_node.inbox.unread import ReadPosition, news, told_through
from mcp_node.log.interface import Database
from mcp_node.sessions import reads
from mcp_node.sessions.reads import Page, PageQuery
from proto.messages import ANONYMOUS, Principal


class Pages:
    """Reads pages and marks them as read. What is marked is read within `Readers.turn`."""

    def __init__(self, database: Database, readers: Readers) -> None:
        self._database = database
        self._readers = readers

    async def read(self, principal: Principal, query: PageQuery) -> Page:
        """A page of what a principal may see; nothing is marked."""
        return await self._database.read(
            partial(reads.page, audience=principal.audience, query=query)
        )

    async def unread(
        self, principal: Principal, name: str, limit: int, give: bool = True
    ) -> tuple[Page, int]:
        """The oldest of others' unread entries, and the id up to which all is read with them.

        For a principal that has read nothing yet in the session: the newest of them. ``give``:
        whether they then count as read.
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

    async def given(self, principal: Principal, name: str, page: Page, after: int | None) -> None:
        """Mark an unfiltered page as read: one after ``after``, or if that is None the newest one.

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
