"""The hub: takes every event from the queue to its room.

One task drains the queue. For each room it advances the session's follower and passes what may be
delivered to the fan-out. A room that waits for a gap to be filled holds back its own frames only.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from proto.revocations import Revocations
from proto.settings import Settings
from proto.wire import Event, message_event
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.event_queue import Answer, EventQueue, HeadSeen, Item, PageFound, PositionFound
from ws_node.rooms.fan_out import FanOut
from ws_node.rooms.follower import Counts
from ws_node.rooms.outgoing import Outgoing
from ws_node.rooms.room import Promise, Room, Subscription
from ws_node.rooms.viewer import Viewer

logger = logging.getLogger(__name__)


class Behind(NamedTuple):
    """Rooms that wait for what they missed: how many, the most ids, and since when (Unix time)."""

    rooms: int
    ids: int
    since: float


class Hub:
    """Every room of this node.

    Attributes:
        epoch: of the log, as history last told; None while mcp_node has never been reached.
        log_position: highest id known to be committed in that log.
        seen_through: every message of that log up to here is known here: it went by, or its room
            knows that it misses it.
        closed: why nobody may be here now; None: viewers may.
        refused_at: when mcp_node refused a connection (it did not run), in seconds of Unix time;
            None if the last attempt ended otherwise.
        wanted: called with a room whenever its follower may want something from history.
        suspicious: called when a frame of another epoch came by.
        opened, dropped: called with a session id when its room opens, and when it is dropped.
        attended: called with a room when somebody came or left, or asked to be told who is there.
        ephemeral: events without a position that came by.
        counts: what the rooms' followers met.
        fan_out: what writes to the viewers.
        rooms: by session id.
        connected: every viewer, live, joining or catching up.
    """

    def __init__(self, settings: Settings, queue: EventQueue, revocations: Revocations) -> None:
        self.epoch: str | None = None
        self.log_position = 0
        self.seen_through = 0
        self.closed: Disconnect | None = None
        self.refused_at: float | None = None
        self.wanted: Callable[[Room], None] = lambda room: None
        self.suspicious: Callable[[], None] = lambda: None
        self.opened: Callable[[str], None] = lambda session_id: None
        self.dropped: Callable[[str], None] = lambda session_id: None
        self.attended: Callable[[Room], None] = lambda room: None
        self.ephemeral = 0
        self.counts = Counts()
        self.fan_out = FanOut(settings)
        self.fan_out.failed = self._abandon
        self.rooms: dict[str, Room] = {}
        self.connected: dict[Viewer, None] = {}
        self._subscriptions: dict[Viewer, dict[str, Subscription]] = {}
        self._settings = settings
        self._queue = queue
        self._revocations = revocations

    # Rooms

    def enter(self, session_id: str) -> Room:
        """The session's room, opened if need be and held open until `leave`."""
        room = self.rooms.get(session_id)
        if room is None:
            room = self.rooms[session_id] = Room(session_id, self._settings, self.counts)
            room.asked = lambda room: self.attended(room)
            self.opened(session_id)
        room.references += 1
        room.idle_since = None
        self.attended(room)
        self.wanted(room)
        return room

    def leave(self, room: Room) -> None:
        """Let go of a room; it is followed for a while longer, for those who come back."""
        room.references -= 1
        self.attended(room)
        if room.occupied:
            return
        room.idle_since = asyncio.get_running_loop().time()
        if not room.remembers and self.rooms.get(room.session_id) is room:
            self._drop(room.session_id)

    def subscribe(self, viewer: Viewer, session_id: str) -> Subscription:
        """A viewer's place in a room, not live yet; the one it has, if it has one."""
        places = self._subscriptions.setdefault(viewer, {})
        subscription = places.get(session_id)
        if subscription is None:
            subscription = places[session_id] = Subscription(viewer, self.enter(session_id))
        return subscription

    def subscriptions(self, viewer: Viewer) -> Mapping[str, Subscription]:
        """A viewer's places, by session id."""
        return self._subscriptions.get(viewer, {})

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a viewer's place in a room; idempotent."""
        if subscription.ended:
            return
        subscription.ended = True
        subscription.stop_replay()
        subscription.room.part(subscription)
        self._subscriptions[subscription.viewer].pop(subscription.room.session_id, None)
        self.leave(subscription.room)

    def connect(self, viewer: Viewer) -> None:
        """Know a viewer until its connection ends."""
        self.connected[viewer] = None
        viewer.connection.on_leave = lambda: self.disconnect(viewer)

    def disconnect(self, viewer: Viewer) -> None:
        """A viewer is gone: end everything it has here; idempotent."""
        viewer.gone = True
        self.connected.pop(viewer, None)
        for subscription in list(self.subscriptions(viewer).values()):
            self.unsubscribe(subscription)
        self._subscriptions.pop(viewer, None)

    def let_in_early(self, room: Room) -> None:
        """A viewer enters before the position is known: promise it everything from now on."""
        if room.promise is None and not room.positioned.is_set():
            room.promise = Promise(self.epoch, self.log_position, self.refused_at)

    def sweep(self) -> None:
        """Drop rooms nobody came back to, and viewers whose token has died or was taken back."""
        oldest = asyncio.get_running_loop().time() - self._settings.room_linger_seconds
        now = time.time()
        for session_id, room in list(self.rooms.items()):
            if room.idle_since is not None and room.idle_since < oldest:
                self._drop(session_id)
        for viewer in list(self.connected):
            expires_at = viewer.principal.expires_at
            if expires_at is not None and expires_at <= now:
                viewer.connection.disconnect(Disconnect.TOKEN_EXPIRED)
            elif self._revocations.cover(viewer.principal):
                viewer.connection.disconnect(Disconnect.FORBIDDEN)

    def _drop(self, session_id: str) -> None:
        del self.rooms[session_id]
        self.dropped(session_id)

    def relieve(self) -> None:
        """Keep what waits for all viewers within its bound: those with most waiting go first."""
        waiting = [(v.connection.outlet.get_write_buffer_size(), v) for v in self.connected]
        total = sum(size for size, _ in waiting)
        if total <= self._settings.max_unsent_node_bytes:
            return
        for size, viewer in sorted(waiting, key=lambda entry: -entry[0]):
            if total <= self._settings.max_unsent_node_bytes:
                return
            self.fan_out.slow += 1
            viewer.connection.disconnect(Disconnect.SLOW)
            total -= size

    def behind(self) -> Behind | None:
        """How far rooms are behind what they know of; None while none is."""
        rooms = [room for room in self.rooms.values() if room.behind_since is not None]
        if not rooms:
            return None
        return Behind(
            len(rooms),
            max(room.follower.behind for room in rooms),
            min(room.behind_since or 0.0 for room in rooms),
        )

    def disconnect_all(self, why: Disconnect) -> None:
        """Close every viewer."""
        for viewer in list(self.connected):
            viewer.connection.disconnect(why)

    def set_epoch(self, epoch: str) -> None:
        """History told the log's epoch: if it is another one, everybody must reload.

        Only the comparison of heads calls this: its questions follow one another, so that an
        answer of the former log which comes late cannot bring that back.
        """
        if self.epoch == epoch:
            return
        former, self.epoch = self.epoch, epoch
        if former is None:
            return
        logger.warning("the log was replaced: closing every viewer with 4002")
        self.disconnect_all(Disconnect.LOG_REPLACED)
        self.log_position = self.seen_through = 0
        for room in list(self.rooms.values()):
            room.start_over()
            self.wanted(room)

    def forget_past(self) -> None:
        """Old messages were pruned from the log: no room may replay what it remembers."""
        for room in self.rooms.values():
            room.forget_past()

    def set_head(self, head: int) -> None:
        """The log was seen to end at ``head``, below what had been published before.

        It lost its end, or somebody forged ids: rooms beyond it would take everything that
        follows for repeats.
        """
        logger.error("the log ends before what was already delivered: rooms beyond it reload")
        self.log_position = head
        self.seen_through = min(self.seen_through, head)
        for room in list(self.rooms.values()):
            room.cut(head)
            if room.last > head:
                self._send_away(room, Disconnect.LOG_REPLACED)
                room.start_over()
                self.wanted(room)

    def learn_heads(self, changed: Mapping[str, int], through: int) -> None:
        """The log up to ``through`` was compared: these sessions moved, and reach these ids."""
        for session_id, head in changed.items():
            if (room := self.rooms.get(session_id)) is not None:
                room.know(head)
        self.log_position = max(self.log_position, through)
        self.seen_through = max(self.seen_through, through)

    def position_of(self, room: Room) -> int:
        """The highest position of the log up to which a room's messages are known.

        It moves with the whole log, not with the room: what a viewer is told of it says nothing
        of messages in that session which it may not see.
        """
        return max(self.seen_through, room.known_through)

    # The drain

    async def run(self) -> None:
        """Move rooms by what comes out of the queue and send what goes by, in turns, for ever.

        While viewers are written to, the queue is drained too, so that what comes for a busy room
        waits there and for the others nothing does; unless too much waits already: then the queue
        fills, and what does not fit is read from the log again.
        """
        fan_out, queue = self.fan_out, self._queue
        while True:
            if not fan_out.busy:
                self._move(await queue.take())
            elif not fan_out.full:
                self._move(queue.take_now())
            fan_out.turn()
            if fan_out.busy or len(queue):
                await asyncio.sleep(0)

    def _move(self, items: list[Item]) -> None:
        by_room: dict[str, list[Item]] = {}
        for item in items:
            by_room.setdefault(item.session_id, []).append(item)
        self._note(items)
        for session_id, of_one in by_room.items():
            room = self.rooms.get(session_id)
            if room is None:
                continue
            try:
                self._serve(room, of_one)
            except Exception:
                logger.exception("a room failed; its viewers are sent away to come back")
                self._abandon(room)

    def _serve(self, room: Room, items: list[Item]) -> None:
        """Move a room by what came for it, and have sent what may go."""
        outgoing: list[Outgoing] = []
        durable: list[Event] = []
        for item in items:
            if isinstance(item, Event):
                if item.id is not None:
                    durable.append(item)
                    continue
                self.ephemeral += 1
            if durable:
                outgoing += room.went_by(room.follower.feed(durable))
                durable = []
            if isinstance(item, Event):
                outgoing.append(room.passing(item))
            else:
                outgoing += self._answered(room, item)
        if durable:
            outgoing += room.went_by(room.follower.feed(durable))
        follower = room.follower
        if follower.foreign:
            follower.foreign = 0
            self.suspicious()
        if follower.last is None or follower.target > follower.last:
            self.wanted(room)
        if not follower.behind:
            room.behind_since = None
        elif room.behind_since is None:
            room.behind_since = time.time()
        if outgoing:
            self.fan_out.add(room, outgoing)

    def _answered(self, room: Room, answer: Answer) -> list[Outgoing]:
        """History answered: what of it goes to the viewers."""
        follower = room.follower
        if answer.follower is not follower:
            return []
        if isinstance(answer, PositionFound):
            if answer.epoch != self.epoch:
                follower.failed()
                return []
            room.know(answer.head, answer.log_head)
            base = self._promised(room, answer)
            events = follower.positioned(answer.epoch, answer.head, base)
            room.found()
            return room.went_by(events)
        if isinstance(answer, PageFound):
            events = [message_event(message, answer.epoch) for message in answer.messages]
            through, head = answer.through, answer.head
            return room.went_by(follower.page(answer.epoch, events, through=through, head=head))
        if isinstance(answer, HeadSeen):
            follower.seen_head(answer.epoch, answer.head)
        else:
            follower.failed()
        return []

    def _promised(self, room: Room, answer: PositionFound) -> int | None:
        """Where following begins: below the head, if viewers were let in before it was known.

        Such viewers were promised everything committed after they came in.
        """
        promise, room.promise = room.promise, None
        if promise is None:
            return None
        if promise.epoch == answer.epoch:
            return promise.position
        if promise.epoch is None and promise.refused_at is not None:
            # The log was never reached, but at `refused_at` mcp_node did not run, so nothing could
            # be committed: whatever came later came after the head of the next start.
            later = [head for at, head in answer.starts if at > promise.refused_at]
            return later[0] if later else answer.head
        # Of another log, or of one whose start is not known: the promise cannot be kept, and a
        # viewer that reconnects gets a position to go on from.
        self._send_away(room, Disconnect.HISTORY_UNAVAILABLE)
        return None

    def _note(self, items: list[Item]) -> None:
        """Remember how far the log is known to reach, and how far without a gap."""
        for item in items:
            if isinstance(item, Event) and item.id is not None and item.epoch == self.epoch:
                if item.id == self.seen_through + 1:
                    self.seen_through = item.id
                self.log_position = max(self.log_position, item.id)

    def _abandon(self, room: Room) -> None:
        self._send_away(room, Disconnect.RESTART)
        room.start_over()
        self.wanted(room)

    def _send_away(self, room: Room, why: Disconnect) -> None:
        for _, _, members in room.classes():
            for member in members:
                member.connection.disconnect(why)
