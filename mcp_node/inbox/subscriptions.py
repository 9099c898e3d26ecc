"""Subscriptions to changes of sessions: commits mark URIs as changed, open streams send them.

However many commits there are, a subscription keeps one mark for each URI, so a slow subscriber
takes no memory and delays nobody.
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
from proto.messages import Kind, Message, Principal, Visibility
from proto.settings import Settings
from proto.visibility import may_see
from serving.quota import Quota

SWEEP_SECONDS: Final = 1.0


class Subscription:
    """A subscription to some URIs; made by `Subscriptions.subscribe`.

    Attributes:
        principal: the subscriber.
        audience: what the subscriber may see.
        uris: the subscribed URIs of each session.
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
        """What it counts against the limits: the number of its URIs, at least 1."""
        return max(1, sum(map(len, self.uris.values())))

    def marked(self, session_id: str) -> bool:
        """Whether every URI of a session is already marked as changed."""
        return all(uri in self._changed for uri in self.uris[session_id])

    def mark(self, session_id: str, only: str | None = None) -> None:
        """Mark a session's URIs as changed, or only one of them."""
        for uri in self.uris[session_id]:
            if only is None or uri == only:
                self._changed[uri] = None
                self._wake.set()

    def end(self) -> None:
        """End the subscription: `changed` returns what is marked, then nothing."""
        self._ended = True
        self._wake.set()

    async def changed(self) -> list[str]:
        """Wait for changes; returns the URIs that changed since the last call.

        Returns an empty list once the subscription has ended. Cancelling it loses no change.
        """
        await self._wake.wait()
        changed, self._changed = self._changed, {}
        if not self._ended:
            self._wake.clear()
        return list(changed)


class Subscriptions:
    """Every subscription of the node.

    Args:
        database: tells which sessions exist, and what is committed.
        settings: the limits.
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
        """How many URIs are subscribed to; an empty subscription counts as one."""
        return self._quota.total

    async def subscribe(self, principal: Principal, uris: Sequence[str]) -> Subscription:
        """Make a subscription. The caller must `remove` it when it stops reading it.

        Args:
            principal: the subscriber. It is told of changes that it may see.
            uris: URIs of sessions or of their messages; may be empty.

        Raises:
            Forbidden: the principal may not read.
            InvalidInput: one is not the URI of a session.
            SessionNotFound: there is no such session, or the token does not cover it.
            RateLimited: the principal has as many subscriptions as it may.
            Overloaded: the node has as many subscriptions as it may.
            Unavailable: the node is stopping, or the database failed.
        """
        self._check_room(principal, len(uris))
        wanted: dict[str, list[str]] = {}
        for uri in dict.fromkeys(uris):
            wanted.setdefault(entered(principal, session_of(uri), "read"), []).append(uri)
        for session_id in wanted:
            await self._database.read(partial(reads.session, session_id=session_id))
        subscription = Subscription(principal, wanted)
        self._check_room(principal, subscription.size)  # again: there may be more since the reads
        self._quota.add(principal.verified_id, subscription.size)
        self._all[subscription] = None
        for session_id in wanted:
            self._watching.setdefault(session_id, {})[subscription] = None
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """End and forget a subscription; repeating it has no effect."""
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
        """Mark committed changes in the subscriptions that may see them; a `CommitListener`."""
        if not self._watching:
            return
        written: dict[str, set[tuple[Visibility, str, str]]] = {}
        for message in messages:
            if message.session_id in self._watching and message.kind is not Kind.REACTION:
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
        """Mark a session itself as changed, but not its messages."""
        for subscription in self._watching.get(session_id, ()):
            subscription.mark(session_id, session_uris(session_id)[0])

    def sweep(self, is_valid: Callable[[Principal], bool]) -> None:
        """End the subscriptions whose principal's token is no longer valid."""
        for subscription in list(self._all):
            if not is_valid(subscription.principal):
                self.remove(subscription)

    async def sweep_for_ever(self, is_valid: Callable[[Principal], bool]) -> None:
        """Sweep every second. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(is_valid)

    def close(self) -> None:
        """End every subscription and refuse new ones, because the node stops."""
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
