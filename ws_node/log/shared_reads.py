"""Reading the log for viewers that catch up: one read serves all viewers that miss its messages.

There is one request at a time for each session. Every viewer whose position lies within the range
that was read is served from it: after a restart of this node a thousand viewers reconnect with a
thousand positions, and a few ranges hold what all of them missed.

A range is filtered for one audience only if no other audience waits. An unfiltered range that ends
where the room's ring begins extends the ring, within its limits, so that later viewers need no
request at all.
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
"""Viewers served before other tasks get a turn."""


class LogRange(NamedTuple):
    """A range of a session's log, from a requested position.

    Attributes:
        epoch: of the log.
        head: the session's last id in the same read.
        through: the position up to which it goes.
        messages: covers the requested position. It may or may not have messages that the viewer's
            audience may not see.
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
    """Reads sessions for all viewers of this node that catch up."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._waiters: dict[str, list[_Waiter]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def after(self, room: Room, position: int, audience: Audience) -> LogRange:
        """What follows a position, for an audience; perhaps read a moment ago for another viewer.

        Cancelling it does not disturb others that share the read.

        Raises:
            HistoryUnavailable: mcp_node did not answer.
        """
        waiter = _Waiter(position, audience, asyncio.get_running_loop().create_future())
        waiters = self._waiters.get(room.session_id)
        if waiters is not None:
            waiters.append(waiter)
        else:
            self._waiters[room.session_id] = [waiter]
            task = asyncio.create_task(self._serve(room))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await waiter.answer

    async def _serve(self, room: Room) -> None:
        """Read for the waiting viewers, the longest waiting first, until none waits."""
        waiters = self._waiters[room.session_id]
        try:
            while True:
                waiters[:] = [waiter for waiter in waiters if not waiter.answer.done()]
                if not waiters:
                    return
                await self._ask(room, waiters)
        except Exception as error:  # mostly HistoryUnavailable: each waiter handles it
            for waiter in waiters:
                if not waiter.answer.done():
                    waiter.answer.set_exception(error)
        finally:
            del self._waiters[room.session_id]
            for waiter in waiters:
                waiter.answer.cancel()

    async def _ask(self, room: Room, waiters: list[_Waiter]) -> None:
        """Make one request, and serve every waiter that its answer covers."""
        first, ring = waiters[0], room.ring
        shared = any(waiter.audience != first.audience for waiter in waiters)
        if ring is not None and not ring.past_read:
            shared = ring.past_read = True
        audience = None if shared else first.audience
        page = await self._history.visible_log(room.session_id, first.position, audience)
        found = log_range(page, first.position)
        unchanged = room.ring is ring and room.follower.epoch == page.epoch
        if audience is None and ring is not None and unchanged:
            ring.extend(found.messages, page.through)
        woken = 0
        for waiter in list(waiters):
            served = first.position <= waiter.position < page.through and (
                audience is None or waiter.audience == audience
            )
            if (served or waiter is first) and not waiter.answer.done():
                waiter.answer.set_result(found)
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
