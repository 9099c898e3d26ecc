"""A room: the live state of one session while it has viewers, and their subscriptions.

Except for the two waits everything here is synchronous: no other task runs in between.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

from proto.messages import Audience
from proto.settings import Settings
from proto.wire import Event
from ws_node.rooms.follower import Counts, RoomFollower
from ws_node.rooms.framing import Framing, text_frame
from ws_node.rooms.outgoing import Outgoing
from ws_node.rooms.ring import Ring
from ws_node.rooms.room_presence import RoomPresence
from ws_node.rooms.viewer import Viewer

NEVER: Final = 1 << 62
"""`Subscription.live_since` while it gets no live frames: it joins, catches up or has ended."""


class Subscription:
    """A viewer's subscription to one room.

    Attributes:
        viewer: the subscriber.
        room: the room.
        audience: what the viewer may see; subscriptions of one audience get the same bytes.
        framing, outlet, connection: the viewer's, kept here for the fan-out.
        live_since: the last batch of the room that it had when it went live.
        presence: whether it gets presence frames.
        ended: whether it was ended, by the viewer or with its connection.
        replay: the task that replays what was missed, while there is one.
    """

    __slots__ = (
        "audience",
        "connection",
        "ended",
        "framing",
        "live_since",
        "outlet",
        "presence",
        "replay",
        "room",
        "viewer",
    )

    def __init__(self, viewer: Viewer, room: "Room") -> None:
        self.viewer = viewer
        self.room = room
        self.audience = viewer.principal.audience
        self.connection = viewer.connection
        self.framing = viewer.connection.framing
        self.outlet = viewer.connection.outlet
        self.live_since = NEVER
        self.presence = False
        self.ended = False
        self.replay: asyncio.Task[None] | None = None

    def send_framed(self, frames: bytes) -> None:
        """Send frames that are already framed for this connection."""
        if frames and not self.ended:
            self.outlet.write(frames)

    def start_replay(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a replay in a task of its own, in place of the one under way."""
        self.stop_replay()
        self.replay = asyncio.create_task(work)

    def stop_replay(self) -> None:
        """Cancel the replay that may be under way."""
        replay, self.replay = self.replay, None
        if replay is not None:
            replay.cancel()


Class = tuple[Audience, Framing, list[Subscription]]
"""An audience, a framing, and the live subscriptions that have both: they get the same bytes."""


class Promise(msgspec.Struct, frozen=True):
    """Viewers that joined before the room's position was known get everything after this point.

    Attributes:
        epoch: of the log, when they joined; None: mcp_node had not answered yet.
        position: with an epoch, they get everything after this position of that log.
        refused_at: without an epoch, when mcp_node refused a connection, in seconds of Unix time.
            It did not run then, so they get everything after the head its log had at its next
            start (it listens before it opens its log). None: the point is not known.
    """

    epoch: str | None
    position: int
    refused_at: float | None


class Room:
    """The viewers of a session, its position in the log, and its recent messages.

    Args:
        session_id: the session.
        settings: of the node.
        counts: what the followers of all rooms count in; its own if None.
        on_presence_wanted: called with the room when a viewer that wants presence goes live.

    Attributes:
        follower: of the session's chain; only the dispatcher uses it.
        ring: recent messages; None until the position is known.
        batch: number of the batch that takes the next messages. A viewer that joins has
            everything of earlier batches from the ring, sent to others or not.
        unsent: messages for the fan-out to send, by batch; only the fan-out uses it.
        sending: whether the fan-out has it among the busy rooms; only the fan-out uses it.
        promise: what viewers that joined before the position was known are to get; None if there
            were none.
        known_through: up to this position of the log it is known which messages the session has.
        presence: presence of the session, and what was last sent to each subscriber.
        references: subscriptions and handshakes that hold the room open.
        behind_since: since when it misses messages it knows of, in seconds of Unix time; or None.
        idle_since: when the last viewer left, in loop seconds; None while there are any.
    """

    def __init__(
        self,
        session_id: str,
        settings: Settings,
        counts: Counts | None = None,
        *,
        on_presence_wanted: Callable[["Room"], None] = lambda room: None,
    ) -> None:
        self.session_id = session_id
        self.follower = RoomFollower(counts)
        self.ring: Ring | None = None
        self.batch = 0
        self.unsent: deque[tuple[int, list[Outgoing]]] = deque()
        self.sending = False
        self.promise: Promise | None = None
        self.known_through = 0
        self._known_head = 0
        self.presence: RoomPresence[Subscription] = RoomPresence()
        self.references = 0
        self.idle_since: float | None = None
        self.behind_since: float | None = None
        self.positioned = asyncio.Event()
        self._settings = settings
        self._on_presence_wanted = on_presence_wanted
        self._members: dict[tuple[Audience, Framing], dict[Subscription, None]] = {}
        self._classes: list[Class] | None = None
        self._everyone: list[tuple[Framing, list[Subscription]]] | None = None
        self._reached: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def last(self) -> int:
        """Id of the last message that was delivered; 0 while the position is unknown."""
        return self.follower.last or 0

    @property
    def remembers(self) -> bool:
        """Whether it has messages that a viewer which reconnects could use."""
        return self.ring is not None and len(self.ring) > 0

    @property
    def occupied(self) -> bool:
        """Whether a subscription or a handshake holds the room open."""
        return self.references > 0

    def classes(self) -> list[Class]:
        """The live subscriptions, by audience and framing.

        The lists do not change afterwards. A subscription that leaves meanwhile has `NEVER` as
        its ``live_since``.
        """
        if self._classes is None:
            self._classes = [(*kind, list(members)) for kind, members in self._members.items()]
        return self._classes

    def everyone(self) -> list[tuple[Framing, list[Subscription]]]:
        """The live subscriptions, by framing; otherwise like `classes`."""
        if self._everyone is None:
            found: dict[Framing, list[Subscription]] = {}
            for (_, framing), members in self._members.items():
                found.setdefault(framing, []).extend(members)
            self._everyone = list(found.items())
        return self._everyone

    def join(self, subscription: Subscription) -> None:
        """Make a subscription live: it gets every message that is delivered from now on."""
        # It has everything up to here from the ring. Frames that are still unsent belong to this
        # batch or an earlier one. The fan-out sends a batch only to members with a lower
        # `live_since`, so none of those frames is sent to it twice. The next message starts a new
        # batch.
        subscription.live_since = self.batch
        self.batch += 1
        kind = (subscription.audience, subscription.framing)
        self._members.setdefault(kind, {})[subscription] = None
        self._classes = self._everyone = None
        if subscription.presence:
            self.presence.subscribe(subscription)
            self._on_presence_wanted(self)

    def leave(self, subscription: Subscription) -> None:
        """Stop live frames to a subscription; idempotent."""
        subscription.live_since = NEVER
        self.presence.unsubscribe(subscription)
        kind = (subscription.audience, subscription.framing)
        members = self._members.get(kind)
        if members is not None and subscription in members:
            del members[subscription]
            if not members:
                del self._members[kind]
            self._classes = self._everyone = None

    def deliver(self, events: list[Event]) -> list[Outgoing]:
        """Frame messages for the fan-out and add them to the ring."""
        outgoing = [Outgoing(event, text_frame(event.body)) for event in events]
        if self.ring is not None:
            for each in outgoing:
                self.ring.append(each)
        self._wake()
        return outgoing

    def learn_head(self, head: int, through: int = 0) -> None:
        """Note the session's last id, as the log had it.

        Unlike the follower's target this makes the room fetch nothing: the message may still be
        on its way.

        Args:
            head: id of a message that the session has.
            through: the session has no later message up to this position of the log.
        """
        self._known_head = max(self._known_head, head)
        self.known_through = max(self.known_through, through)

    def open_ring(self) -> None:
        """The position is known: open the ring there, and end the waits for `positioned`."""
        if self.ring is None:
            self.ring = self._empty_ring()
        self.positioned.set()

    def clear_ring(self) -> None:
        """Drop the ring's messages; they are read from the log when needed."""
        if self.ring is not None:
            self.ring = self._empty_ring()

    def _empty_ring(self) -> Ring:
        return Ring(
            self.last,
            max_messages=self._settings.room_ring_messages,
            max_bytes=self._settings.room_ring_bytes,
        )

    def complete(self, position: int) -> bool:
        """Whether everything the session has up to a position of the log was delivered.

        Args:
            position: not beyond what is known of the log (see `Hub.position_of`). The session
                need not have a message at that position.
        """
        last = self.follower.last
        exists = max(self.follower.target, self._known_head)
        return last is not None and last >= min(position, exists)

    async def reached(self, position: int) -> None:
        """Wait until it is `complete` up to a position; safe to cancel."""
        if not self.complete(position):
            waiter = asyncio.get_running_loop().create_future()
            self._reached.append((position, waiter))
            try:
                await waiter
            finally:
                self._reached = [entry for entry in self._reached if entry[1] is not waiter]

    def frame(self, event: Event) -> Outgoing:
        """Frame an ephemeral event; the ring does not keep it."""
        return Outgoing(event, text_frame(event.body))

    def truncate(self, head: int) -> None:
        """The log ends at ``head``: forget what was known to come after it."""
        self._known_head = min(self._known_head, head)
        self.known_through = min(self.known_through, head)

    def reset(self) -> None:
        """Forget the log and follow it from the start: the position is asked for again."""
        self.truncate(0)
        self.follower = RoomFollower(self.follower.counts)
        self.ring = None
        self.promise = None
        self.positioned.clear()

    def _wake(self) -> None:
        if not self._reached:
            return
        waiting = []
        for position, waiter in self._reached:
            if waiter.done():
                continue
            if self.complete(position):
                waiter.set_result(None)
            else:
                waiting.append((position, waiter))
        self._reached = waiting
