"""Keeps the hub's rooms in step with the log: positions, gaps, and the comparison of heads.

* For a room that opens it requests the session's position; for a room with a gap, what it missed.
* Every ``LOG_POLL_SECONDS`` (jittered) it requests the heads of the sessions that moved. A room
  that is still behind 0.3 s later reads what it missed. So a lost message is delivered even if none
  follows it.
* While mcp_node is unavailable all of this backs off, to at most two seconds.

Answers go through the queue, so that the dispatcher is the only task that advances a room.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from proto.internal_api import Heads
from proto.messages import MAX_ID
from proto.settings import Settings
from ws_node.log.client import History, HistoryUnavailable
from ws_node.rooms.event_queue import (
    Answer,
    EventQueue,
    FetchFailed,
    HeadSeen,
    PageFound,
    PositionFound,
)
from ws_node.rooms.follower import RoomFollower, Want
from ws_node.rooms.hub import Hub
from ws_node.rooms.room import Room

IN_FLIGHT_SECONDS: Final = 0.3
"""How long a committed message may take to arrive before it counts as lost."""

BACKOFF_SECONDS: Final = (0.1, 2.0)
"""First and longest pause between requests while mcp_node is unavailable."""

SWEEP_SECONDS: Final = 1.0

Question = Callable[[Room, RoomFollower], Awaitable[Answer | None]]

logger = logging.getLogger(__name__)


class LogSync:
    """Keeps the hub's rooms in step with the log.

    Args:
        settings: of the node.
        hub, queue, history: whose rooms are followed, where answers go, whom to ask.
        subscribed: awaited with a session's id before its position is asked for: returns once no
            message of it that is published later can be missed.

    Attributes:
        reachable: whether mcp_node answered the last request; None before the first answer.
        reachable_since: since when mcp_node has answered, or not, in seconds of Unix time.
        repairs: requests for messages that a room missed.
    """

    def __init__(
        self,
        settings: Settings,
        hub: Hub,
        queue: EventQueue,
        history: History,
        *,
        subscribed: Callable[[str], Awaitable[None]],
    ) -> None:
        self._subscribed = subscribed
        self.reachable: bool | None = None
        self.reachable_since = time.time()
        self.repairs = 0
        self._interval = settings.log_poll_seconds
        self._hub = hub
        self._queue = queue
        self._history = history
        self._compared: int | None = None
        self._pruned = 0
        self._compared_once = asyncio.Event()
        self._prompted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = asyncio.Event()
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Compare heads and sweep until cancelled; cancelling ends every task it started.

        Raises:
            BaseExceptionGroup: something failed that no state of mcp_node explains. Rooms would
                wait for its answer for ever, so the node must stop.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._compare_for_ever())
                group.create_task(self._sweep_for_ever())
                group.create_task(self._watch_for_failure())
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # What rooms want

    def fetch(self, room: Room) -> None:
        """Request from the log what a room's follower wants, if anything; the answer is queued."""
        follower = room.follower
        want = follower.ask()
        if want is Want.POSITION:
            self._start(self._answer(room, follower, self._position))
        elif want is Want.PAGE:
            self.repairs += 1
            self._start(self._answer(room, follower, self._page))

    async def _answer(self, room: Room, follower: RoomFollower, question: Question) -> None:
        """Queue the answer to a request; FetchFailed after a pause if there is no usable one."""
        try:
            answer = await question(room, follower)
        except HistoryUnavailable as away:
            self._hub.log_unavailable(refused=away.refused)
            answer = None
        if isinstance(answer, PositionFound | PageFound) and answer.epoch != self._hub.epoch:
            self._prompted.set()
            answer = None
        if answer is None:
            pause = BACKOFF_SECONDS[0] if self.reachable else BACKOFF_SECONDS[1]
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            answer = FetchFailed(room.session_id, follower)
        if self._follows(room, follower):
            self._queue.put_answer(answer)

    async def _position(self, room: Room, follower: RoomFollower) -> PositionFound | None:
        while not self._compared_once.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BACKOFF_SECONDS[1]):
                    await self._compared_once.wait()
            if not self._follows(room, follower):
                return None
        await self._subscribed(room.session_id)
        head = await self._history.session_head(room.session_id)
        return PositionFound(
            room.session_id, follower, head.epoch, head.id, head.log_head, head.starts
        )

    async def _page(self, room: Room, follower: RoomFollower) -> PageFound:
        page = await self._history.log(room.session_id, follower.last or 0)
        return PageFound(
            room.session_id, follower, page.epoch, page.messages, page.through, page.head
        )

    def _follows(self, room: Room, follower: RoomFollower) -> bool:
        """Whether the room still exists with this follower."""
        return self._hub.rooms.get(room.session_id) is room and room.follower is follower

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
            self._failed.set()

    async def _watch_for_failure(self) -> None:
        await self._failed.wait()
        raise RuntimeError("following the log failed") from self._failure

    # Comparing heads

    def compare_soon(self) -> None:
        """Compare the heads without waiting for the next poll: the log may have been replaced."""
        self._prompted.set()

    async def _compare_for_ever(self) -> None:
        pause = BACKOFF_SECONDS[0]
        while True:
            self._prompted.clear()
            try:
                complete = await self._compare()
            except HistoryUnavailable as away:
                self._hub.log_unavailable(refused=away.refused)
                if self.reachable is None:
                    logger.info("waiting for mcp_node (%s)", away)
                elif self.reachable:
                    logger.warning(
                        "mcp_node is unavailable (%s); live viewers stay, replays wait for it",
                        away,
                    )
                    self.reachable_since = time.time()
                self.reachable = False
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, BACKOFF_SECONDS[1])
                continue
            pause = BACKOFF_SECONDS[0]
            if complete:
                await self._rest()

    async def _rest(self) -> None:
        wait = self._interval * random.uniform(0.6, 1.0)
        try:
            async with asyncio.timeout(wait):
                await self._prompted.wait()
        except TimeoutError:
            return
        await asyncio.sleep(IN_FLIGHT_SECONDS)  # so often at most, however many prompts

    async def _compare(self) -> bool:
        """Make one request; returns whether its answer reaches the end of the log."""
        compared = MAX_ID if self._compared is None else self._compared
        former, published = self._hub.epoch, self._hub.log_position
        heads = await self._history.heads(compared)
        complete = heads.through >= heads.head or compared > heads.head
        if not complete and heads.through <= compared:
            raise HistoryUnavailable("its heads do not progress")
        if not self.reachable:
            logger.info("mcp_node answers")
            self.reachable_since = time.time()
        self.reachable = True
        if heads.pruned != self._pruned:
            self._pruned = heads.pruned
            self._hub.clear_rings()
        self._hub.set_epoch(heads.epoch)
        if heads.epoch == former and heads.head < published:
            self._hub.set_head(heads.head)
        self._hub.learn_heads(heads.changed, heads.through)
        self._compared = heads.head if compared > heads.head else heads.through
        self._compared_once.set()
        self._suspect(heads)
        return complete

    def _suspect(self, heads: Heads) -> None:
        """Check rooms that are behind again in a moment: the message may be lost or on its way."""
        behind = [
            HeadSeen(session_id, room.follower, heads.epoch, head)
            for session_id, head in heads.changed.items()
            if (room := self._hub.rooms.get(session_id)) is not None and room.last < head
        ]
        if behind:
            self._start(self._look_again(behind))

    async def _look_again(self, behind: list[HeadSeen]) -> None:
        await asyncio.sleep(IN_FLIGHT_SECONDS)
        for seen in behind:
            room = self._hub.rooms.get(seen.session_id)
            if room is not None and room.follower is seen.follower and room.last < seen.head:
                self._queue.put_answer(seen)

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._hub.sweep()
            self._hub.relieve()
