"""Follows the log for the hub: positions, gaps, and the comparison of heads.

* A room that opens asks where its session stands; a room with a gap asks for what it missed.
* Every ``LOG_POLL_SECONDS`` (jittered) the heads say which sessions moved. A room still behind
  0.3 s later reads what it missed: so a lost last message heals without another one.
* While mcp_node is away all of this backs off, two seconds at most.

Answers go through the queue, so that one task alone moves a room.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from proto.follower import Want
from proto.messages import MAX_ID
from proto.settings import Settings
from ws_node.event_queue import (
    Answer,
    EventQueue,
    FetchFailed,
    HeadSeen,
    PageFound,
    PositionFound,
)
from ws_node.history import Heads, History, HistoryAway
from ws_node.hub import Hub
from ws_node.room import Room

IN_FLIGHT_SECONDS: Final = 0.3
"""How long a message that the log has may still be on its way before it counts as lost."""

BACKOFF_SECONDS: Final = (0.1, 2.0)
"""First and longest pause between questions to a mcp_node that is away."""

SWEEP_SECONDS: Final = 1.0

logger = logging.getLogger(__name__)


class Following:
    """Keeps the hub's rooms in step with the log.

    Attributes:
        reachable: whether mcp_node answered last; None before the first answer.
        their_auth: mcp_node's AUTH, once known.
        repairs: gaps filled from history.
    """

    def __init__(self, settings: Settings, hub: Hub, queue: EventQueue, history: History) -> None:
        self.reachable: bool | None = None
        self.their_auth: str | None = None
        self.repairs = 0
        self._interval = settings.log_poll_seconds
        self._hub = hub
        self._queue = queue
        self._history = history
        self._compared: int | None = None
        self._compared_once = asyncio.Event()
        self._prompted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        hub.wanted = self._wanted
        hub.suspicious = self._prompted.set

    async def run(self) -> None:
        """Compare heads and sweep for ever; cancelling ends everything it started."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._compare_for_ever())
                group.create_task(self._sweep_for_ever())
        finally:
            for task in list(self._tasks):
                task.cancel()

    # What rooms want

    def _wanted(self, room: Room) -> None:
        want = room.follower.ask()
        if want is Want.POSITION:
            self._start(self._position(room))
        elif want is Want.PAGE:
            self.repairs += 1
            self._start(self._page(room, room.last))

    async def _position(self, room: Room) -> None:
        with self._reported(room) as report:
            await self._compared_once.wait()
            head = await self._history.session_head(room.session_id)
            report(PositionFound(room.session_id, head.epoch, head.id, head.boot))

    async def _page(self, room: Room, after: int) -> None:
        with self._reported(room) as report:
            page = await self._history.log(room.session_id, after)
            report(PageFound(room.session_id, page.epoch, page.messages, page.through))

    @contextlib.contextmanager
    def _reported(self, room: Room) -> Iterator[Callable[[Answer], None]]:
        """Put the answer into the queue; without one, FetchFailed after a pause."""
        follower = room.follower

        def report(answer: Answer) -> None:
            current = self._hub.rooms.get(room.session_id)
            if current is room and room.follower is follower:
                self._queue.put_answer(answer)

        try:
            yield report
        except HistoryAway as away:
            self._hub.log_refused = away.refused
            pause = BACKOFF_SECONDS[0] if self.reachable else BACKOFF_SECONDS[1]
            self._start(self._report_failure(room.session_id, pause * random.uniform(0.5, 1.0)))

    async def _report_failure(self, session_id: str, pause: float) -> None:
        await asyncio.sleep(pause)
        self._queue.put_answer(FetchFailed(session_id))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Comparing heads

    async def _compare_for_ever(self) -> None:
        pause = BACKOFF_SECONDS[0]
        while True:
            self._prompted.clear()
            try:
                complete = await self._compare()
            except HistoryAway as away:
                self._hub.log_refused = away.refused
                if self.reachable is not False:
                    logger.warning("mcp_node is away; live viewers stay, history waits for it")
                self.reachable = False
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, BACKOFF_SECONDS[1])
                continue
            pause = BACKOFF_SECONDS[0]
            if complete:
                await self._rest()

    async def _rest(self) -> None:
        wait = self._interval * random.uniform(0.8, 1.2)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._prompted.wait(), wait)
            await asyncio.sleep(IN_FLIGHT_SECONDS)  # at most so often, however many prompts

    async def _compare(self) -> bool:
        """One question; whether it saw everything there is."""
        compared = MAX_ID if self._compared is None else self._compared
        heads = await self._history.heads(compared)
        if not self.reachable:
            logger.info("mcp_node is there")
        self.reachable = True
        self.their_auth = heads.auth
        self._hub.set_epoch(heads.epoch)
        self._hub.log_position = max(self._hub.log_position, heads.through)
        self._compared = heads.head if compared > heads.head else heads.through
        self._compared_once.set()
        self._suspect(heads)
        return heads.through >= heads.head or compared > heads.head

    def _suspect(self, heads: Heads) -> None:
        """Look again in a moment at the rooms that are behind: lost, or only on its way?"""
        behind = {
            session_id: head
            for session_id, head in heads.changed.items()
            if self._is_behind(session_id, head)
        }
        if behind:
            self._start(self._look_again(heads.epoch, behind))

    async def _look_again(self, epoch: str, behind: dict[str, int]) -> None:
        await asyncio.sleep(IN_FLIGHT_SECONDS)
        for session_id, head in behind.items():
            if self._is_behind(session_id, head):
                self._queue.put_answer(HeadSeen(session_id, epoch, head))

    def _is_behind(self, session_id: str, head: int) -> bool:
        room = self._hub.rooms.get(session_id)
        return room is not None and room.follower.last is not None and room.last < head

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._hub.sweep()
