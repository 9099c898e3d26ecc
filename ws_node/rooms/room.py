"""A room: one session's live state while somebody watches, and the viewers' places in it.

Everything here is synchronous: what happens in a room happens between two awaits of the hub.
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
"""`Subscription.live_since` while it takes no live frames (it joins, catches up, or has ended)."""


class Subscription:
    """A viewer's place in one room.

    Attributes:
        viewer: whose it is.
        room: the room.
        audience: what the viewer may see; those of one audience share their bytes.
        framing, outlet, connection: the viewer's, at hand for the fan-out.
        live_since: the room's last batch that it had when it went live.
        presence: whether the viewer wants to be told who is there.
        ended: whether the viewer left the room or altogether.
        replay: the task that catches up, while one does.
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
        """Send frames that are already in its framing."""
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
"""Live subscriptions that share their bytes."""


class Promise(msgspec.Struct, frozen=True):
    """Everything after this point goes to viewers let in before the room's position was known.

    With ``epoch``: after ``position`` of that log. Without, mcp_node had never been reached: if it
    refused connections (it did not run) at ``refused_at``, in seconds of Unix time, after all that
    its log had when it next started (it listens before it opens its log); else unknown.
    """

    epoch: str | None
    position: int
    refused_at: float | None


class Room:
    """The viewers of a session, its place in the log, and its recent messages.

    Attributes:
        follower: the session's chain; touched by the hub's drain task alone.
        ring: recent messages; None until the position is known.
        batch: number of what goes by from now on; a viewer that joins has everything of earlier
            batches from the ring already, also what is not sent yet.
        unsent: what went by and is to be sent, by batch; the fan-out's.
        sending: whether the fan-out has this room among the busy ones.
        promise: what viewers were let in on before the position was known; None if none were.
        known_through: up to this position of the log it is known which messages the session has.
        presence: presence of the session, and what was last sent to each subscriber.
        references: subscriptions and handshakes that hold the room open.
        behind_since: since when it has not had all it knows of, in seconds of Unix time; or None.
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
        """Id of the last message that went by; 0 while the position is unknown."""
        return self.follower.last or 0

    @property
    def remembers(self) -> bool:
        """Whether it has anything that somebody who comes back could use."""
        return self.ring is not None and len(self.ring) > 0

    @property
    def occupied(self) -> bool:
        """Whether anybody holds the room open."""
        return self.references > 0

    def classes(self) -> list[Class]:
        """The live subscriptions by audience and framing: each class shares its bytes.

        What is given stays as it is; whoever parts meanwhile is no longer `live_since` anything.
        """
        if self._classes is None:
            self._classes = [(*kind, list(members)) for kind, members in self._members.items()]
        return self._classes

    def everyone(self) -> list[tuple[Framing, list[Subscription]]]:
        """The live subscriptions by framing; otherwise as `classes`."""
        if self._everyone is None:
            found: dict[Framing, list[Subscription]] = {}
            for (_, framing), members in self._members.items():
                found.setdefault(framing, []).extend(members)
            self._everyone = list(found.items())
        return self._everyone

    def join(self, subscription: Subscription) -> None:
        """Have a subscription take what goes by from now on."""
        # It has everything up to here from the ring. Frames that are still unsent belong to this
        # batch or an earlier one, and the fan-out skips members that joined later than a batch: so
        # none of those frames comes twice. What goes by next starts a new batch.
        subscription.live_since = self.batch
        self.batch += 1
        kind = (subscription.audience, subscription.framing)
        self._members.setdefault(kind, {})[subscription] = None
        self._classes = self._everyone = None
        if subscription.presence:
            self.presence.subscribe(subscription)
            self._on_presence_wanted(self)

    def leave(self, subscription: Subscription) -> None:
        """Have a subscription take no more live frames; idempotent."""
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
        """Frame messages that are to be delivered now, and remember them."""
        outgoing = [Outgoing(event, text_frame(event.body)) for event in events]
        if self.ring is not None:
            for each in outgoing:
                self.ring.append(each)
        self._wake()
        return outgoing

    def learn_head(self, head: int, through: int = 0) -> None:
        """The session is known to reach ``head``, and to end there in the log up to ``through``.

        Unlike the follower's target it does not make the room fetch anything: what is on its way
        needs no question.
        """
        self._known_head = max(self._known_head, head)
        self.known_through = max(self.known_through, through)

    def open_ring(self) -> None:
        """The position is known: open the ring from there."""
        if self.ring is None:
            self.ring = self._empty_ring()
        self.positioned.set()

    def clear_rings(self) -> None:
        """Remember nothing of what went by: it is read from the log again."""
        if self.ring is not None:
            self.ring = self._empty_ring()

    def _empty_ring(self) -> Ring:
        return Ring(
            self.last,
            max_messages=self._settings.room_ring_messages,
            max_bytes=self._settings.room_ring_bytes,
        )

    def complete(self, position: int) -> bool:
        """Whether all that the session has up to a position of the log went by.

        Args:
            position: not beyond what is known of the log (see `Hub.position_of`). The session may
                have no message at that position, and none after it.
        """
        last = self.follower.last
        exists = max(self.follower.target, self._known_head)
        return last is not None and last >= min(position, exists)

    async def reached(self, position: int) -> None:
        """Wait until it is `complete` up to a position."""
        if not self.complete(position):
            waiter = asyncio.get_running_loop().create_future()
            self._reached.append((position, waiter))
            try:
                await waiter
            finally:
                self._reached = [entry for entry in self._reached if entry[1] is not waiter]

    def frame(self, event: Event) -> Outgoing:
        """Frame an ephemeral event, which nothing remembers."""
        return Outgoing(event, text_frame(event.body))

    def truncate(self, head: int) -> None:
        """The log was seen to end at ``head``: nothing is known of what comes after it."""
        self._known_head = min(self._known_head, head)
        self.known_through = min(self.known_through, head)

    def reset(self) -> None:
        """Forget the log: the position must be asked anew."""
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
