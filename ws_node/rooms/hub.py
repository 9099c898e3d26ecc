"""The hub: every room, subscription and viewer of this process, and what is known of the log.

It moves no messages: the dispatcher takes them to the rooms (`ws_node.rooms.dispatcher`).
Everything here is synchronous.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from proto.revocations import Revocations
from proto.settings import Settings
from proto.wire import Event
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.event_queue import Item
from ws_node.rooms.fan_out import FanOut
from ws_node.rooms.follower import Counts
from ws_node.rooms.room import Promise, Room, Subscription
from ws_node.rooms.viewer import Viewer

logger = logging.getLogger(__name__)


class Behind(NamedTuple):
    """Rooms that miss messages: how many, the most ids one misses, since when (Unix time)."""

    rooms: int
    ids: int
    since: float


class Hub:
    """Every room of this process.

    Args:
        settings: of the node.
        revocations: of tokens; `sweep` disconnects viewers whose token is among them.
        on_want: called with a room whenever its follower may want something from history.
        on_open, on_drop: called with a session's id when its room opens, and when it is dropped.
        on_attendance: called with a room when a viewer enters or leaves it, or subscribes to its
            presence.

    Attributes:
        epoch: of the log, by the last comparison of heads; None before the first.
        log_position: highest id known to be committed in that log.
        seen_through: every message of that log up to this id was delivered to its room, or the
            room knows that it misses it.
        closed: why no viewer is admitted now; None: viewers are admitted.
        counts: what the rooms' followers counted.
        fan_out: writes to the viewers.
        rooms: by session id.
        connected: every viewer: live, joining or catching up.
    """

    def __init__(
        self,
        settings: Settings,
        revocations: Revocations,
        *,
        on_want: Callable[[Room], None],
        on_attendance: Callable[[Room], None],
        on_open: Callable[[str], None] = lambda session_id: None,
        on_drop: Callable[[str], None] = lambda session_id: None,
    ) -> None:
        self.epoch: str | None = None
        self.log_position = 0
        self.seen_through = 0
        self.closed: Disconnect | None = None
        self.counts = Counts()
        self.fan_out = FanOut(settings, on_failure=self.abandon)
        self.rooms: dict[str, Room] = {}
        self.connected: dict[Viewer, None] = {}
        self._refused_at: float | None = None
        self._subscriptions: dict[Viewer, dict[str, Subscription]] = {}
        self._settings = settings
        self._revocations = revocations
        self._on_want = on_want
        self._on_attendance = on_attendance
        self._on_open = on_open
        self._on_drop = on_drop

    # Rooms

    def enter(self, session_id: str) -> Room:
        """The session's room, opened if need be and held open until `leave`."""
        room = self.rooms.get(session_id)
        if room is None:
            room = self.rooms[session_id] = Room(
                session_id, self._settings, self.counts, on_presence_wanted=self._on_attendance
            )
            self._on_open(session_id)  # before the position is asked for
        room.references += 1
        room.idle_since = None
        self._on_attendance(room)
        self._on_want(room)
        return room

    def leave(self, room: Room) -> None:
        """Release a room. It is followed for a while longer, for viewers that reconnect."""
        room.references -= 1
        self._on_attendance(room)
        if room.occupied:
            return
        room.idle_since = asyncio.get_running_loop().time()
        if not room.remembers and self.rooms.get(room.session_id) is room:
            self._drop(room.session_id)

    def abandon(self, room: Room) -> None:
        """Reset a room that failed; its viewers are disconnected and may reconnect."""
        self._disconnect_members(room, Disconnect.RESTART)
        room.reset()
        self._on_want(room)

    def promise(self, room: Room) -> None:
        """A viewer joins: unless the position is known, promise it everything from now on."""
        if room.promise is None and not room.positioned.is_set():
            room.promise = Promise(self.epoch, self.log_position, self._refused_at)

    def break_promise(self, room: Room) -> None:
        """What a room's viewers were promised cannot be delivered: they are to reconnect."""
        self._disconnect_members(room, Disconnect.HISTORY_UNAVAILABLE)

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

    # Viewers

    def connect(self, viewer: Viewer) -> None:
        """Register a viewer until its connection ends."""
        self.connected[viewer] = None
        viewer.connection.call_on_leave(lambda: self.disconnect(viewer))

    def disconnect(self, viewer: Viewer) -> None:
        """A viewer's connection ends: drop the viewer and its subscriptions; idempotent."""
        viewer.gone = True
        self.connected.pop(viewer, None)
        for subscription in list(self.subscriptions(viewer).values()):
            self.unsubscribe(subscription)
        self._subscriptions.pop(viewer, None)

    def disconnect_all(self, why: Disconnect) -> None:
        """Disconnect every viewer."""
        for viewer in list(self.connected):
            viewer.connection.disconnect(why)

    def close(self, why: Disconnect) -> None:
        """Disconnect every viewer and admit no more until `reopen`."""
        self.closed = why
        self.disconnect_all(why)

    def reopen(self) -> None:
        """Admit viewers again."""
        self.closed = None

    def subscribe(
        self, viewer: Viewer, session_id: str, *, presence: bool | None = None
    ) -> Subscription:
        """A viewer's subscription to a session, not live yet; the one it has, if it has one.

        Args:
            viewer: the subscriber.
            session_id: the session.
            presence: whether it wants presence frames; None: as before, and at first not.
        """
        own = self._subscriptions.setdefault(viewer, {})
        subscription = own.get(session_id)
        if subscription is None:
            subscription = own[session_id] = Subscription(viewer, self.enter(session_id))
        if presence is not None:
            subscription.presence = presence
        return subscription

    def subscriptions(self, viewer: Viewer) -> Mapping[str, Subscription]:
        """A viewer's subscriptions, by session id."""
        return self._subscriptions.get(viewer, {})

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; idempotent."""
        if subscription.ended:
            return
        subscription.ended = True
        subscription.stop_replay()
        subscription.room.leave(subscription)
        self._subscriptions[subscription.viewer].pop(subscription.room.session_id, None)
        self.leave(subscription.room)

    def sweep(self) -> None:
        """Drop idle rooms, and disconnect viewers whose token has expired or was revoked."""
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
        self._on_drop(session_id)

    def relieve(self) -> None:
        """Disconnect viewers, those with most unsent first, until the node's limit is kept."""
        unsent = [(v.connection.outlet.get_write_buffer_size(), v) for v in self.connected]
        total = sum(size for size, _ in unsent)
        if total <= self._settings.max_unsent_node_bytes:
            return
        for size, viewer in sorted(unsent, key=lambda entry: -entry[0]):
            if total <= self._settings.max_unsent_node_bytes:
                return
            self.fan_out.slow += 1
            viewer.connection.disconnect(Disconnect.SLOW)
            total -= size

    # The log

    def set_epoch(self, epoch: str) -> None:
        """Set the log's epoch. If it is another one than before, every viewer must reload.

        Only the comparison of heads calls this. Its requests follow one another, so a late answer
        of the former log cannot bring the former epoch back.
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
            room.reset()
            self._on_want(room)

    def set_head(self, head: int) -> None:
        """The log ends at ``head``, below what was published before.

        The log lost its end, or somebody forged ids. A room beyond ``head`` would drop everything
        that follows as a duplicate, so its viewers must reload.
        """
        logger.error("the log ends before what was already delivered: rooms beyond it reload")
        self.log_position = head
        self.seen_through = min(self.seen_through, head)
        for room in list(self.rooms.values()):
            room.truncate(head)
            if room.last > head:
                self._disconnect_members(room, Disconnect.LOG_REPLACED)
                room.reset()
                self._on_want(room)

    def clear_rings(self) -> None:
        """Old messages were pruned from the log: no room may replay them from its ring."""
        for room in self.rooms.values():
            room.clear_ring()

    def learn_heads(self, changed: Mapping[str, int], through: int) -> None:
        """The heads were compared up to ``through``: ``changed`` has the sessions that moved."""
        for session_id, head in changed.items():
            if (room := self.rooms.get(session_id)) is not None:
                room.learn_head(head)
        self.log_position = max(self.log_position, through)
        self.seen_through = max(self.seen_through, through)

    def learn_items(self, items: list[Item]) -> None:
        """Items leave the queue: note how far the log reaches, and up to where without a gap."""
        for item in items:
            if isinstance(item, Event) and item.id is not None and item.epoch == self.epoch:
                # Ids have no gaps over all sessions together, so the next one continues the log.
                if item.id == self.seen_through + 1:
                    self.seen_through = item.id
                self.log_position = max(self.log_position, item.id)

    def log_unavailable(self, *, refused: bool) -> None:
        """A request to mcp_node failed; ``refused``: nothing listened, so it did not run."""
        self._refused_at = time.time() if refused else None

    def position_of(self, room: Room) -> int:
        """The highest position of the log up to which a room's messages are known.

        It moves with the whole log, not with the room: a viewer that is told of it learns nothing
        of messages in that session which it may not see.
        """
        return max(self.seen_through, room.known_through)

    def _disconnect_members(self, room: Room, why: Disconnect) -> None:
        for _, _, members in room.classes():
            for member in members:
                member.connection.disconnect(why)
