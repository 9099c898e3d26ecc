"""Waiting: wakes those that wait for messages, right after a commit.

The database is not read: a waiter gets the committed messages themselves.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Final, NamedTuple

from mcp_node.inbox.mentions import calls, mentioned
from proto.errors import RateLimited
from proto.messages import ANONYMOUS, Kind, Message, Principal
from proto.visibility import may_see
from serving.quota import Quota

HELD: Final = 50
"""The most messages a waiter holds until it runs; the rest stays in the log."""


REMEMBERED: Final = 10_000
"""The latest messages whose authors are remembered, so that replies to them need no reading."""


class Wish(NamedTuple):
    """What a wait is for.

    Attributes:
        calls: only others' messages that mention the principal or reply to it.
        thread: only messages under this one.
        sender: only this sender's messages.
    """

    calls: bool = False
    thread: int | None = None
    sender: str | None = None

    @property
    def filtered(self) -> bool:
        """Whether it is for a part of the messages, without deletions and edits."""
        return self.thread is not None or self.sender is not None


class Waiter:
    """A pending wait for messages of a session.

    Attributes:
        after: only entries with a higher id are held.
        heard: the entries committed since it began, in order, at most `HELD`.
        more: whether there were more than it holds.
        wish: what it waits for.
        closed: whether the session was closed, so that no message will come.
        look_again: whether the log must be read again, because only it tells whether an entry is
            for this wait: whether the principal was given a message that was deleted or edited, or
            wrote the one that was replied to (if it is none of the latest), or whether a reply is
            under the wish's message. A wait that collects a burst reads the log for every entry.
    """

    __slots__ = (
        "_collects",
        "_every_change",
        "_own",
        "_wake",
        "after",
        "closed",
        "heard",
        "look_again",
        "more",
        "principal",
        "wish",
    )

    def __init__(self, principal: Principal, *, own: bool, wish: Wish, collects: bool) -> None:
        self.principal = principal
        self.after = 0
        self.heard: list[Message] = []
        self.more = False
        self.closed = False
        self.look_again = False
        self.wish = wish
        self._collects = collects
        self._own = own and not wish.calls
        self._every_change = self._own or principal.agent_id == ANONYMOUS
        self._wake = asyncio.Event()

    async def woken(self, seconds: float) -> bool:
        """Wait at most ``seconds`` to be woken; False on timeout."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    def wake(self) -> None:
        """Wake the waiting task."""
        self._wake.set()

    def offer(
        self, message: Message, names: Callable[[], tuple[str, ...]], answered: str | None
    ) -> None:
        """Hold a committed entry and wake up, if it is one that this wait is for.

        Args:
            message: the entry.
            names: returns the names it mentions.
            answered: the principal it replies to, empty if it replies to none but its own; None
                if only the log tells.
        """
        audience = self.principal.audience
        if (
            message.id <= self.after
            or message.kind is Kind.REACTION  # nobody is woken for it
            or (message.author == audience.agent_id and not self._own)
            or not may_see(audience, message.visibility, message.principal, message.sender_type)
        ):
            return
        if self.wish.filtered and not self._passes(message):
            return
        change = message.about is not None and not self._every_change
        if change or self.wish.thread is not None:
            self.look_again = True
        elif self.wish.calls and not calls((*names(), answered or ""), audience.agent_id):
            if answered is not None:
                return
            self.look_again = True
        elif self._collects:
            self.look_again = True
        elif len(self.heard) < HELD:
            self.heard.append(message)
        else:
            self.more = True
        self.wake()

    def _passes(self, message: Message) -> bool:
        """Whether an entry may be one that a filtered wait is for."""
        thread, sender = self.wish.thread, self.wish.sender
        return (
            message.about is None
            and sender in (None, message.sender)
            and (thread is None or message.parent_message_id is not None)
        )

    def only_after(self, position: int) -> None:
        """Ignore entries up to ``position``: they were read, even if announced only later."""
        self.after = position
        self.heard = [message for message in self.heard if message.id > position]
        if not self.heard and not self.look_again:
            self._wake.clear()


class Waiting:
    """All waiters of a node. Not thread-safe: used from the event loop only.

    Attributes:
        ended: whether the node is stopping, so that waits end at once.

    Args:
        most_each: the most concurrent waits of one principal.
    """

    def __init__(self, most_each: int) -> None:
        self.ended = False
        self._waiters: dict[str, dict[Waiter, None]] = {}
        self._quota = Quota(most_each)
        self._authors: OrderedDict[int, str] = OrderedDict()

    def __len__(self) -> int:
        """How many waits are pending."""
        return self._quota.total

    @contextmanager
    def wait(
        self,
        session_id: str,
        principal: Principal,
        *,
        own: bool,
        wish: Wish,
        collects: bool = False,
    ) -> Iterator[Waiter]:
        """A waiter that is offered what is committed until the block is left.

        Args:
            session_id: the session.
            principal: the caller.
            own: whether the principal's own messages count.
            wish: what it waits for.
            collects: whether it holds no entries, and only tells that there are new ones.

        Raises:
            RateLimited: the principal has as many concurrent waits as it may.
        """
        name = principal.verified_id
        if not self._quota.acquire(name):
            raise RateLimited(
                "You wait in as many places as one principal may.",
                "Let a wait end first, or use get_messages.",
            )
        waiter = Waiter(principal, own=own, wish=wish, collects=collects)
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
        """Whether a principal waits in a session."""
        return any(
            waiter.principal.agent_id == principal for waiter in self._waiters.get(session_id, ())
        )

    def wishes(self, session_id: str, principal: str) -> list[Wish]:
        """What a principal waits for in a session, each once, in the order they began."""
        waiters = self._waiters.get(session_id, ())
        wishes = (each.wish for each in waiters if each.principal.agent_id == principal)
        return list(dict.fromkeys(wishes))

    def waiting_in(self, session_id: str) -> set[str]:
        """The principals that wait in a session."""
        return {waiter.principal.agent_id for waiter in self._waiters.get(session_id, ())}

    def committed(self, messages: Sequence[Message]) -> None:
        """Wake the waiters for which there are new messages; a `CommitListener`."""
        for message in messages:
            self._authors[message.id] = message.principal
            waiters = self._waiters.get(message.session_id)
            if waiters:
                names = cache(partial(mentioned, message.content))  # parsed once for all waiters
                answered = self._answered(message)
                for waiter in waiters:
                    waiter.offer(message, names, answered)
        while len(self._authors) > REMEMBERED:
            self._authors.popitem(last=False)

    def _answered(self, message: Message) -> str | None:
        """Whom a message calls by replying; see `Waiter.offer`."""
        if message.parent_message_id is None:
            return ""
        author = self._authors.get(message.parent_message_id)
        if author is None:
            return None
        return author.lower() if author not in (message.principal, ANONYMOUS) else ""

    def close(self, session_id: str) -> None:
        """Wake the waiters of a session that was closed."""
        for waiter in self._waiters.get(session_id, ()):
            waiter.closed = True
            waiter.wake()

    def end(self) -> None:
        """End all waits, and those to come, because the node stops."""
        self.ended = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.wake()
