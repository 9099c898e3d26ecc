"""Catching up: a viewer gets what it missed, then goes live without a gap or a duplicate.

No live frames are kept for it meanwhile. It is sent pages of the log, each once the former has
mostly left its socket, until the room's ring covers the rest. That is sent and the viewer goes live
in one step, without an await in between.
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
"""How long history may be unavailable before a viewer is disconnected with 4003."""

PAUSE_SECONDS: Final = (0.2, 0.4)
"""Bounds of the pause after a request that history did not answer."""

CHUNK_BYTES: Final = 262_144
"""Most bytes written to a viewer before the former chunk has mostly left its socket."""

SEND_SECONDS: Final = 30.0
"""How long sending a chunk may take. Meanwhile the viewer holds one of its principal's replays."""

logger = logging.getLogger(__name__)


class Subscribe(msgspec.Struct, frozen=True):
    """The command to start a session, or to start it again.

    Attributes:
        session_id: the session.
        since: start after this position; None: from now.
        epoch: of the log that the position belongs to; None: not checked.
        presence: whether to send presence frames; None: as before, and at first not.
    """

    session_id: str
    since: int | None = None
    epoch: str | None = None
    presence: bool | None = None


class CatchUp:
    """Brings subscriptions from their position to live.

    Args:
        hub: has the rooms, and knows how far the log is known.
        history: the log to read from.
        most_each: viewers of one principal that read from the log at the same time; more wait.
    """

    def __init__(self, hub: Hub, history: History, most_each: int) -> None:
        self._hub = hub
        self._replays = ConcurrencyLimit(most_each)
        self._history = history
        self._reads = SharedReads(history)

    async def subscribe(self, subscription: Subscription, command: Subscribe) -> None:
        """Answer a subscription, replay what was missed, and go live.

        Disconnects the viewer with 4003 if history stays unavailable, with 4002 if the log is
        replaced meanwhile, with 4000 if the viewer does not read what it is sent, with 4001 after
        any other failure. Waiting for other replays of the principal has no time limit, because
        each of those has one. Cancelling it leaves the subscription not live.
        """
        viewer, room = subscription.viewer, subscription.room
        room.leave(subscription)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                start, recovered = await self._start(subscription, command)
            epoch = room.follower.epoch
            viewer.send(subscribed_frame(room.session_id, epoch, start, recovered))
            await self._replay(subscription, epoch, start)
        except TimeoutError:
            viewer.connection.disconnect(Disconnect.HISTORY_UNAVAILABLE)
        except Exception:
            logger.exception("a replay failed; its viewer is disconnected and may reconnect")
            viewer.connection.disconnect(Disconnect.RESTART)

    async def _start(self, subscription: Subscription, command: Subscribe) -> tuple[int, bool]:
        """The position a subscription starts from, and whether that is the position it asked for.

        Both depend on the log and on what the viewer may see, never on the session's last id,
        which moves with messages the viewer may not see. When this returns, the room's position
        is known and nothing was awaited since.
        """
        room = subscription.room
        while True:
            await room.positioned.wait()
            here = self._hub.position_of(room)
            if command.since is None:
                return here, True
            if command.epoch is not None and command.epoch != room.follower.epoch:
                return here, False
            ring = room.ring
            if command.since <= here or (ring and ring.shows(command.since, subscription.audience)):
                return command.since, True
            with contextlib.suppress(HistoryUnavailable):
                head = await self._history.session_head(room.session_id)
                if room.positioned.is_set() and head.epoch == room.follower.epoch:
                    room.learn_head(head.id, head.log_head)
                    if command.since <= head.log_head:
                        return command.since, True
                    return self._hub.position_of(room), False
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))

    async def _replay(self, subscription: Subscription, epoch: str | None, cursor: int) -> None:
        """Send pages of the log until the ring covers the rest, then send that and go live.

        Raises:
            TimeoutError: messages up to the cursor did not reach the room in time.
        """
        viewer, room = subscription.viewer, subscription.room
        while not subscription.ended:
            ring = room.ring
            if ring is None or not room.complete(cursor):
                # Messages up to the cursor have not reached this room yet. A viewer that went
                # live now would get them a second time.
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
                    room.join(
                        subscription
                    )  # no await since `after`: nothing was delivered in between
                    return
                cursor = more
                await viewer.drained()
                continue
            async with self._replays.of(viewer.principal.agent_id):
                if room.ring is not ring or ring.covers(cursor):
                    continue  # another viewer's read extended it, or the log was replaced
                found = await self._read(subscription, cursor)
                if found is None or found.through <= cursor:
                    viewer.connection.disconnect(Disconnect.HISTORY_UNAVAILABLE)
                    return
                if found.epoch != epoch:
                    viewer.connection.disconnect(Disconnect.LOG_REPLACED)
                    return
                if not await self._send(subscription, found.messages, cursor):
                    viewer.connection.disconnect(Disconnect.SLOW)
                    return
                room.learn_head(found.head)
                cursor = found.through

    async def _read(self, subscription: Subscription, cursor: int) -> LogRange | None:
        """What follows in the log; None if history stays unavailable or the viewer left."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_SECONDS
        while loop.time() < end and not subscription.ended:
            try:
                return await self._reads.after(subscription.room, cursor, subscription.audience)
            except HistoryUnavailable:
                await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
        return None

    async def _send(self, subscription: Subscription, messages: Ring, cursor: int) -> bool:
        """Send messages in chunks, each once the former has mostly left the socket.

        Returns:
            False if a chunk took longer than `SEND_SECONDS`.
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
