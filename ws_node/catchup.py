"""Catching up: one viewer reads what it missed, then goes live without a hole or a repeat.

It holds no live frames meanwhile. It is fed pages from the log, each after the one before has
mostly left its socket, until the room's ring covers the rest; then it takes that and goes live in
one step without an await.
"""

import asyncio
import random
from typing import Final

from proto.frames import subscribed_frame
from proto.visibility import may_see
from ws_node.commands import Subscribe
from ws_node.disconnect import Disconnect
from ws_node.framing import text_frame
from ws_node.history import History, HistoryAway, LogPage
from ws_node.hub import Hub, durable_event
from ws_node.room import Room, Viewer

PATIENCE_SECONDS: Final = 10.0
"""How long history may be away before a viewer is sent off to come back later."""


class CatchUp:
    """Subscriptions of viewers, from their position to live."""

    def __init__(self, hub: Hub, history: History) -> None:
        self._hub = hub
        self._history = history

    async def subscribe(self, viewer: Viewer, room: Room, wish: Subscribe) -> None:
        """Answer a subscription, replay what was missed, and go live.

        Closes the viewer with 4003 if history stays away, with 4002 if the log is replaced
        meanwhile. Cancelling it leaves the viewer out of the live set.
        """
        room.part(viewer)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await room.positioned.wait()
                recovered = await self._recoverable(room, wish)
        except TimeoutError:
            viewer.connection.disconnect(Disconnect.HISTORY_UNAVAILABLE)
            return
        epoch = room.follower.epoch
        start = wish.since if recovered and wish.since is not None else room.last
        viewer.send(subscribed_frame(room.session_id, epoch, start, recovered))
        await self._replay(viewer, room, epoch, start)

    async def _recoverable(self, room: Room, wish: Subscribe) -> bool:
        """Whether everything after the wished position can still be given."""
        if wish.since is None:
            return True
        if wish.epoch is not None and wish.epoch != room.follower.epoch:
            return False
        if wish.since <= room.last:
            return True
        while True:
            try:
                head = await self._history.session_head(room.session_id)
            except HistoryAway:
                await asyncio.sleep(random.uniform(0.2, 0.4))
                continue
            return head.epoch == room.follower.epoch and wish.since <= head.id

    async def _replay(self, viewer: Viewer, room: Room, epoch: str | None, cursor: int) -> None:
        """Feed pages until the ring covers the rest."""
        while not viewer.gone:
            if room.last < cursor:
                if not await self._passed(viewer, room, cursor):
                    return
                continue
            if room.ring is not None and room.ring.covers(cursor):
                viewer.send_frames(room.ring.after(cursor, viewer.audience))
                room.join(viewer)
                return
            page = await self._page(viewer, room, cursor)
            if page is None:
                viewer.connection.disconnect(Disconnect.HISTORY_UNAVAILABLE)
                return
            if page.epoch != epoch:
                viewer.connection.disconnect(Disconnect.LOG_REPLACED)
                return
            viewer.send_frames(
                b"".join(
                    text_frame(event.body)
                    for event in (durable_event(message, page.epoch) for message in page.messages)
                    if may_see(
                        viewer.audience, event.visibility, event.principal, event.sender_type
                    )
                )
            )
            cursor = page.through
            await viewer.drained()

    async def _page(self, viewer: Viewer, room: Room, cursor: int) -> LogPage | None:
        """The next page; None if history stays away."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_SECONDS
        while loop.time() < end and not viewer.gone:
            try:
                return await self._history.log(room.session_id, cursor, viewer.audience)
            except HistoryAway:
                await asyncio.sleep(random.uniform(0.2, 0.4))
        return None

    async def _passed(self, viewer: Viewer, room: Room, cursor: int) -> bool:
        """Wait until the room itself is past the viewer, so that nothing comes twice."""
        try:
            await asyncio.wait_for(room.reached(cursor), PATIENCE_SECONDS)
        except TimeoutError:
            viewer.connection.disconnect(Disconnect.HISTORY_UNAVAILABLE)
            return False
        return True
