"""Who wants to hear that a session has changed: filled by commits, emptied by open streams.

A commit only marks what changed for whom: any number of commits is one pending change for each
URI, so a subscriber that is slow holds no memory and delays nobody.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from mcp_node.log.interface import Database
from mcp_node.sessions import reads
from mcp_node.sessions.authorization import entered
from mcp_node.sessions.uris import session_of, session_uris
from proto.errors import Overloaded, RateLimited, Unavailable
from proto.messages import Message, Principal, Visibility
from proto.settings import Settings
from proto.visibility import may_see
from serving.quota import Quota

SWEEP_SECONDS: Final = 1.0


class Subscription:
    """One subscriber's wish to hear of some URIs; made by `Subscriptions.subscribe`.

    Attributes:
        principal: with whose rights.
        audience: what those let it see.
        uris: of each session, what it hears of.
    """

    __slots__ = ("_changed", "_ended", "_wake", "audience", "principal", "uris")

    def __init__(self, principal: Principal, uris: dict[str, list[str]]) -> None:
        self.principal = principal
        self.audience = principal.audience
        self.uris = uris
        self._changed: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._ended = False

    @property
    def size(self) -> int:
        """What it counts against the limits: its URIs, and as one if it has none."""
        return max(1, sum(map(len, self.uris.values())))

    def marked(self, session_id: str) -> bool:
        """Whether it is to hear of that session already."""
        return all(uri in self._changed for uri in self.uris[session_id])

    def mark(self, session_id: str, only: str | None = None) -> None:
        """It is to hear that the session has changed, or only that one URI of it has."""
        for uri in self.uris[session_id]:
            if only is None or uri == only:
                self._changed[uri] = None
                self._wake.set()

    def end(self) -> None:
        """No more will be marked."""
        self._ended = True
        self._wake.set()

    async def changed(self) -> list[str]:
        """The URIs that have changed since this was last asked, once there are any.

        None are left when the subscription has ended. Cancelling it loses nothing.
        """
        await self._wake.wait()
        changed, self._changed = self._changed, {}
        if not self._ended:
            self._wake.clear()
        return list(changed)


class Subscriptions:
    """Every subscription of the node.

    Args:
        store: says which sessions there are, and what is committed.
        settings: has the limits.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._quota = Quota(
            settings.max_resource_subscriptions_per_principal, settings.max_resource_subscriptions
        )
        self._watching: dict[str, dict[Subscription, None]] = {}
        self._all: dict[Subscription, None] = {}
        self._closed = False
        database.on_commit(self.publish)

    def __len__(self) -> int:
        """How many URIs are subscribed to (an empty subscription counts as one)."""
        return self._quota.total

    async def subscribe(self, principal: Principal, uris: Sequence[str]) -> Subscription:
        """Have commits marked in a new subscription; `remove` it when nobody reads it.

        Args:
            principal: who subscribes. It hears of what it may see, in sessions it may enter.
            uris: of sessions or their messages; none at all is fine.

        Raises:
            Forbidden: it may not read.
            InvalidInput: that is no URI of a session.
            SessionNotFound: there is no such session, or its token does not cover it.
            RateLimited: it has subscribed to as much as one principal may.
            Overloaded: all together have.
            Unavailable: the node is stopping, or the database failed.
        """
        self._check_room(principal, len(uris))
        wanted: dict[str, list[str]] = {}
        for uri in dict.fromkeys(uris):
            wanted.setdefault(entered(principal, session_of(uri), "read"), []).append(uri)
        for session_id in wanted:
            await self._database.read(partial(reads.session, session_id=session_id))
        subscription = Subscription(principal, wanted)
        self._check_room(principal, subscription.size)  # again: others came during the reads
        self._quota.add(principal.verified_id, subscription.size)
        self._all[subscription] = None
        for session_id in wanted:
            self._watching.setdefault(session_id, {})[subscription] = None
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Forget a subscription; again does no harm."""
        if subscription not in self._all:
            return
        del self._all[subscription]
        subscription.end()
        self._quota.add(subscription.principal.verified_id, -subscription.size)
        for session_id in subscription.uris:
            watching = self._watching[session_id]
            del watching[subscription]
            if not watching:
                del self._watching[session_id]

    def publish(self, messages: Sequence[Message]) -> None:
        """Mark what a commit has changed for those who may see it; a `CommitListener`."""
        if not self._watching:
            return
        written: dict[str, set[tuple[Visibility, str, str]]] = {}
        for message in messages:
            if message.session_id in self._watching:
                kind = (message.visibility, message.principal, message.sender_type)
                written.setdefault(message.session_id, set()).add(kind)
        for session_id, kinds in written.items():
            for subscription in self._watching[session_id]:
                if subscription.marked(session_id):
                    continue
                audience = subscription.audience
                if any(may_see(audience, *kind) for kind in kinds):
                    subscription.mark(session_id)

    def session_changed(self, session_id: str) -> None:
        """Mark that what a session is has changed, not its messages: all who may enter see that."""
        for subscription in self._watching.get(session_id, ()):
            subscription.mark(session_id, session_uris(session_id)[0])

    def sweep(self, is_valid: Callable[[Principal], bool]) -> None:
        """End every subscription whose principal's token has died."""
        for subscription in list(self._all):
            if not is_valid(subscription.principal):
                self.remove(subscription)

    async def sweep_for_ever(self, is_valid: Callable[[Principal], bool]) -> None:
        """Sweep every second; cancel to stop."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(is_valid)

    def close(self) -> None:
        """The node stops: end every subscription, and take no more."""
        self._closed = True
        for subscription in list(self._all):
            self.remove(subscription)

    def _check_room(self, principal: Principal, size: int) -> None:
        if self._closed:
            raise Unavailable("The node is stopping.")
        if self._quota.exceeds_own(principal.verified_id, size):
            raise RateLimited(
                f"One principal may subscribe to {self._quota.most_each} resources at once.",
                "Unsubscribe from some, or close a stream.",
            )
        if self._quota.exceeds_all(size):
            raise Overloaded(
                "This node has as many subscriptions as it takes.", "Try again in a while."
            )
