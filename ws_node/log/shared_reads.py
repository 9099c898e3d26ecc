"""Reading the log for viewers that catch up: what one question answers, all who miss it get.

A session is read by one question at a time. Whoever waits at a place within the stretch that was
read is served from it, wherever exactly they are: after a restart of this node a thousand viewers
come back with a thousand positions, and a few stretches hold what all of them missed.

A stretch is filtered for its audience only if nobody else waits. Unfiltered, it may be what came
just before the room's ring: then the ring is extended by it, within the ring's bounds, so that
those who come later need no question at all.
"""

import asyncio
from typing import Final, NamedTuple

from proto.internal_api import LogPage
from proto.messages import Audience
from proto.wire import message_event
from ws_node.log.client import History
from ws_node.rooms.framing import text_frame
from ws_node.rooms.outgoing import Outgoing
from ws_node.rooms.ring import Ring
from ws_node.rooms.room import Room

WOKEN_AT_ONCE: Final = 20
"""Viewers served before others get a turn."""


class LogRange(NamedTuple):
    """What a session's log holds after the place that was asked for, up to ``through``.

    ``messages`` covers that place; those an audience may not see may be among them, or not.
    ``head`` is the session's last id in the same reading.
    """

    epoch: str
    head: int
    through: int
    messages: Ring


class _Waiter(NamedTuple):
    position: int
    audience: Audience
    answer: asyncio.Future[LogRange]


class SharedReads:
    """Reads sessions for all viewers of this node."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._askers: dict[str, list[_Waiter]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def after(self, room: Room, position: int, audience: Audience) -> LogRange:
        """What comes after a position, for an audience; perhaps read a moment ago.

        Raises:
            HistoryUnavailable: mcp_node did not answer.
        """
        asker = _Waiter(position, audience, asyncio.get_running_loop().create_future())
        askers = self._askers.get(room.session_id)
        if askers is not None:
            askers.append(asker)
        else:
            self._askers[room.session_id] = [asker]
            task = asyncio.create_task(self._serve(room))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asker.answer

    async def _serve(self, room: Room) -> None:
        """Read for those who wait, the one who has waited longest first, until nobody does."""
        askers = self._askers[room.session_id]
        try:
            while True:
                askers[:] = [asker for asker in askers if not asker.answer.done()]
                if not askers:
                    return
                await self._ask(room, askers)
        except Exception as error:  # HistoryUnavailable above all: each asker knows what to do
            for asker in askers:
                if not asker.answer.done():
                    asker.answer.set_exception(error)
        finally:
            del self._askers[room.session_id]
            for asker in askers:
                asker.answer.cancel()

    async def _ask(self, room: Room, askers: list[_Waiter]) -> None:
        """One question, and everybody whom its answer serves."""
        first, ring = askers[0], room.ring
        shared = any(asker.audience != first.audience for asker in askers)
        if ring is not None and not ring.past_read:
            shared = ring.past_read = True
        audience = None if shared else first.audience
        page = await self._history.visible_log(room.session_id, first.position, audience)
        stretch = log_range(page, first.position)
        unchanged = room.ring is ring and room.follower.epoch == page.epoch
        if audience is None and ring is not None and unchanged:
            ring.extend(stretch.messages, page.through)
        woken = 0
        for asker in list(askers):
            served = first.position <= asker.position < page.through and (
                audience is None or asker.audience == audience
            )
            if (served or asker is first) and not asker.answer.done():
                asker.answer.set_result(stretch)
                woken += 1
                if woken % WOKEN_AT_ONCE == 0:
                    await asyncio.sleep(0)


def log_range(page: LogPage, position: int) -> LogRange:
    """A page that was read from a position, framed."""
    messages = Ring(position, max_messages=len(page.messages) + 1, max_bytes=1 << 62)
    for message in page.messages:
        event = message_event(message, page.epoch)
        messages.append(Outgoing(event, text_frame(event.body)))
    return LogRange(page.epoch, page.head, page.through, messages)
