"""Catching up: one viewer reads what it missed, then goes live without a hole or a repeat.

It holds no live frames meanwhile. It is fed pages from the log, each after the one before has
mostly left its socket, until the room's ring covers the rest; then it takes that and goes live in
one step without an await.
"""

import asyncio
import contextlib
import logging
import random
from typing import Final

import msgspec

from proto.frames import subscribed_frame
from serving.quota import ConcurrencyLimit
from ws_node.log.client import History, HistoryUnavailable
from ws_node.log.shared_reads import LogRange, SharedReads
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.hub import Hub
from ws_node.rooms.ring import Ring
from ws_node.rooms.room import Subscription

PATIENCE_SECONDS: Final = 10.0
"""How long history may be away before a viewer is sent off to come back later."""

PAUSE_SECONDS: Final = (0.2, 0.4)
"""Between two questions of a viewer that history did not answer."""

CHUNK_BYTES: Final = 262_144
"""Most bytes written to a viewer that catches up before it has taken those before."""

SEND_SECONDS: Final = 30.0
"""How long a viewer may take over a chunk while it holds a stretch others may wait for."""

logger = logging.getLogger(__name__)


class Subscribe(msgspec.Struct, frozen=True):
    """Start a session (anew): after ``since`` of the log ``epoch``, or from now.

    ``presence``: whether to be told who is there; None: as before, and at first not.
    """

    session_id: str
    since: int | None = None
    epoch: str | None = None
    presence: bool | None = None


class CatchUp:
    """Subscriptions of viewers, from their position to live.

    Args:
        hub: knows how far the log is known.
        history: where they read.
        most_each: viewers of one principal that hold a stretch of the log at once.
    """

    def __init__(self, hub: Hub, history: History, most_each: int) -> None:
        self._hub = hub
        self._replays = ConcurrencyLimit(most_each)
        self._history = history
        self._reads = SharedReads(history)

    async def subscribe(self, subscription: Subscription, wish: Subscribe) -> None:
        """Answer a subscription, replay what was missed, and go live.

        Closes the viewer with 4003 if history stays away, with 4002 if the log is replaced
        meanwhile, with 4000 if it does not read what it is sent, with 4001 if it fails. Waiting
        for other replays of its principal has no limit in time: none of those can last for ever.
        Cancelling it leaves the viewer out of the live set.
        """
        viewer, room = subscription.viewer, subscription.room
        room.leave(subscription)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                start, recovered = await self._start(subscription, wish)
            epoch = room.follower.epoch
            viewer.send(subscribed_frame(room.session_id, epoch, start, recovered))
            await self._replay(subscription, epoch, start)
        except TimeoutError:
            viewer.connection.disconnect(Disconnect.HISTORY_UNAVAILABLE)
        except Exception:
            logger.exception("a replay failed; its viewer is sent away to come back")
            viewer.connection.disconnect(Disconnect.RESTART)

    async def _start(self, subscription: Subscription, wish: Subscribe) -> tuple[int, bool]:
        """The position a subscription starts from, and whether that is where it wished to.

        Both depend on the log and on what the viewer may see, never on where the session stands:
        that moves with messages it may not see. The room's position is known when this returns,
        and nothing was awaited since.
        """
        room = subscription.room
        while True:
            await room.positioned.wait()
            here = self._hub.position_of(room)
            if wish.since is None:
                return here, True
            if wish.epoch is not None and wish.epoch != room.follower.epoch:
                return here, False
            ring = room.ring
            if wish.since <= here or (ring and ring.shows(wish.since, subscription.audience)):
                return wish.since, True
            with contextlib.suppress(HistoryUnavailable):
                head = await self._history.session_head(room.session_id)
                if room.positioned.is_set() and head.epoch == room.follower.epoch:
                    room.learn_head(head.id, head.log_head)
                    if wish.since <= head.log_head:
                        return wish.since, True
                    return self._hub.position_of(room), False
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))

    async def _replay(self, subscription: Subscription, epoch: str | None, cursor: int) -> None:
        """Feed pages until the ring covers the rest, then take that and go live.

        Raises:
            TimeoutError: the room or history did not get there.
        """
        viewer, room = subscription.viewer, subscription.room
        while not subscription.ended:
            ring = room.ring
            if ring is None or not room.complete(cursor):
                # Messages up to the cursor are still on their way into this room. A viewer that
                # went live now would get them a second time.
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await room.positioned.wait()
                    await room.reached(cursor)
                continue
            if room.follower.epoch != epoch:
                viewer.connection.disconnect(Disconnect.LOG_REPLACED)
                return
            if ring.covers(cursor):
                frames, more = ring.after(
                    cursor, subscription.audience, subscription.framing, CHUNK_BYTES
                )
                subscription.send_framed(frames)
                if more is None:
                    room.join(subscription)  # no await since `after`: nothing went by in between
                    return
                cursor = more
                await viewer.drained()
                continue
            async with self._replays.of(viewer.principal.agent_id):
                if room.ring is not ring or ring.covers(cursor):
                    continue  # somebody read that meanwhile, or the log was replaced
                stretch = await self._read(subscription, cursor)
                if stretch is None or stretch.through <= cursor:
                    viewer.connection.disconnect(Disconnect.HISTORY_UNAVAILABLE)
                    return
                if stretch.epoch != epoch:
                    viewer.connection.disconnect(Disconnect.LOG_REPLACED)
                    return
                if not await self._feed(subscription, stretch.messages, cursor):
                    viewer.connection.disconnect(Disconnect.SLOW)
                    return
                room.learn_head(stretch.head)
                cursor = stretch.through

    async def _read(self, subscription: Subscription, cursor: int) -> LogRange | None:
        """What follows in the log; None if history stays away or the viewer left."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_SECONDS
        while loop.time() < end and not subscription.ended:
            try:
                return await self._reads.after(subscription.room, cursor, subscription.audience)
            except HistoryUnavailable:
                await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
        return None

    async def _feed(self, subscription: Subscription, messages: Ring, cursor: int) -> bool:
        """Send a stretch in pieces, each after the one before has mostly left the socket.

        Returns:
            False if the viewer does not take them.
        """
        position: int | None = cursor
        while position is not None:
            frames, position = messages.after(
                position, subscription.audience, subscription.framing, CHUNK_BYTES
            )
            subscription.send_framed(frames)
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await subscription.viewer.drained()
            except TimeoutError:
                return False
        return True
