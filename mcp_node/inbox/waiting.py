"""Waiting: who is to be woken by which message, in this process, right after the commit.

No database is asked: a waiter gets the committed messages themselves.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Final

from mcp_node.inbox.mentions import calls, mentioned
from proto.errors import RateLimited
from proto.messages import ANONYMOUS, Message, Principal
from proto.visibility import may_see
from serving.quota import Quota

HELD: Final = 50
"""Messages a waiter holds until it runs; the rest it reads from the log."""


class Waiter:
    """Somebody who waits for messages of a session.

    Attributes:
        after: only entries with a higher id.
        heard: what came since it began to wait, in order, `HELD` at most.
        more: whether there was more than it holds.
        mentions_only: whether it hears only what mentions it.
        closed: whether the session was closed: nothing will be said.
        look_again: whether something was deleted. Only the log knows whether it had that.
    """

    __slots__ = (
        "_every_deletion",
        "_own",
        "_wake",
        "after",
        "closed",
        "heard",
        "look_again",
        "mentions_only",
        "more",
        "principal",
    )

    def __init__(self, principal: Principal, *, own: bool, mentions_only: bool) -> None:
        self.principal = principal
        self.after = 0
        self.heard: list[Message] = []
        self.more = False
        self.closed = False
        self.look_again = False
        self.mentions_only = mentions_only
        self._own = own and not mentions_only
        self._every_deletion = self._own or principal.agent_id == ANONYMOUS
        self._wake = asyncio.Event()

    async def woken(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for whatever comes next; False if nothing did."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    def wake(self) -> None:
        """Have it look at what has changed."""
        self._wake.set()

    def offer(self, message: Message, names: Callable[[], tuple[str, ...]]) -> None:
        """An entry was committed: take it if this is what it waits for.

        Args:
            message: the entry.
            names: whom it mentions.
        """
        audience = self.principal.audience
        author = message.principal if message.deletes is None else message.sender
        if (
            message.id <= self.after
            or (author == audience.agent_id and not self._own)
            or not may_see(audience, message.visibility, message.principal, message.sender_type)
        ):
            return
        if message.deletes is not None and not self._every_deletion:
            self.look_again = True
        elif self.mentions_only and not calls(names(), audience.agent_id):
            return
        elif len(self.heard) < HELD:
            self.heard.append(message)
        else:
            self.more = True
        self.wake()

    def only_after(self, position: int) -> None:
        """Hear nothing up to ``position``: it was read, and perhaps is announced only now."""
        self.after = position
        self.heard = [message for message in self.heard if message.id > position]
        if not self.heard and not self.look_again:
            self._wake.clear()


class Waiting:
    """All waiters of a node. Used from the event loop alone.

    Attributes:
        ended: whether the node is stopping, so that nobody waits any more.

    Args:
        most_each: waits of one principal at once.
    """

    def __init__(self, most_each: int) -> None:
        self.ended = False
        self._waiters: dict[str, dict[Waiter, None]] = {}
        self._quota = Quota(most_each)

    def __len__(self) -> int:
        """How many wait."""
        return self._quota.total

    @contextmanager
    def wait(
        self, session_id: str, principal: Principal, *, own: bool, mentions_only: bool
    ) -> Iterator[Waiter]:
        """Somebody who hears what is committed from now on, until the block is left.

        Args:
            session_id: where.
            principal: who.
            own: whether it hears its own messages.
            mentions_only: whether it hears only others' messages that mention it.

        Raises:
            RateLimited: it waits in too many places already.
        """
        name = principal.verified_id
        if not self._quota.acquire(name):
            raise RateLimited(
                "You wait in as many places as one principal may.",
                "Let a wait end first, or use get_messages.",
            )
        waiter = Waiter(principal, own=own, mentions_only=mentions_only)
        self._waiters.setdefault(session_id, {})[waiter] = None
        try:
            yield waiter
        finally:
            here = self._waiters[session_id]
            del here[waiter]
            if not here:
                del self._waiters[session_id]
            self._quota.release(name)

    def waits(self, session_id: str, principal: str) -> bool:
        """Whether somebody waits in a session."""
        return any(
            waiter.principal.agent_id == principal for waiter in self._waiters.get(session_id, ())
        )

    def waiting_in(self, session_id: str) -> set[str]:
        """The names of all who wait in a session."""
        return {waiter.principal.agent_id for waiter in self._waiters.get(session_id, ())}

    def committed(self, messages: Sequence[Message]) -> None:
        """Wake whoever waits for one of these; for `Database.on_commit`."""
        for message in messages:
            waiters = self._waiters.get(message.session_id)
            if waiters:
                names = cache(partial(mentioned, message.content))  # once, however many wait
                for waiter in waiters:
                    waiter.offer(message, names)

    def close(self, session_id: str) -> None:
        """A session was closed: whoever waits there is told."""
        for waiter in self._waiters.get(session_id, ()):
            waiter.closed = True
            waiter.wake()

    def end(self) -> None:
        """The node stops: everybody who waits, or comes to, is woken with nothing."""
        self.ended = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.wake()
