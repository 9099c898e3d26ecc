"""Presence: viewers that ask for it are told who is there.

How many connections watch a session is known here (`ViewerCounts`). Which agents are at work is
asked of mcp_node: one question for all rooms whose viewers want to know, every two seconds, none
while nobody does. While mcp_node is away the viewers are told less: ``agents`` is null.

It writes beside the fan-out, whole frames between its turns, so that a message never waits for it,
and skips who has much unsent: presence is at most once, and closes nobody.
"""

import asyncio
import contextlib
import logging
import random
from typing import Final

from proto.frames import AgentHere, presence_frame
from proto.internal_api import MAX_AGENTS_SESSIONS
from proto.messages import Visibility
from proto.wire import Event
from ws_node.log.client import History, HistoryUnavailable
from ws_node.presence.viewer_counts import ViewerCounts
from ws_node.rooms.framing import Framing
from ws_node.rooms.hub import Hub
from ws_node.rooms.room import NEVER, Room, Subscription
from ws_node.rooms.room_presence import PresenceState

ASK_SECONDS: Final = 2.0
"""How often mcp_node is asked; beyond `MAX_AGENTS_SESSIONS` rooms, about some of them in turn."""

MIN_ASK_SECONDS: Final = 0.25
"""Between two questions, when a room that nothing is known of prompts one."""

BACKOFF_SECONDS: Final = (0.5, 4.0)
"""First and longest pause between questions to a mcp_node that is away."""

PATIENCE_SECONDS: Final = 5.0
"""How long what mcp_node told holds while it is away."""

FIRST_SECONDS: Final = 0.5
"""How long the first viewer of a room waits for the agents before it is told without them."""

PASS_SECONDS: Final = 0.1
"""Least time between two looks at what changed."""

SLICE: Final = 250
"""Viewers told before the event loop gets a turn."""

MAX_UNSENT_BYTES: Final = 65_536
"""Who has more unsent is not told this time."""

logger = logging.getLogger(__name__)


class Presence:
    """Tells who is there.

    Attributes:
        told: frames written.
        skipped: frames not written, to viewers with much unsent.
    """

    def __init__(self, hub: Hub, history: History, watched: ViewerCounts) -> None:
        self.sent = 0
        self.skipped = 0
        self._hub = hub
        self._history = history
        self._watched = watched
        self._changed: dict[str, None] = {}
        self._later: dict[str, float] = {}
        self._something = asyncio.Event()
        self._asked_at: dict[str, float] = {}
        self._agents: dict[str, tuple[AgentHere, ...]] = {}
        self._wanted_since: dict[str, float] = {}
        self._prompted = asyncio.Event()
        self._away_since: float | None = None

    async def run(self) -> None:
        """Tell and ask for ever, until cancelled. Whatever fails is logged and tried again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_for_ever())
            group.create_task(self._ask_for_ever())

    def attendance_changed(self, room: Room) -> None:
        """A viewer entered or left a room of this worker, or subscribed to its presence."""
        self._watched.mark_changed()
        if not room.presence.subscribed:
            return
        name = room.session_id
        if name not in self._asked_at:
            self._asked_at[name] = float("-inf")
            self._wanted_since[name] = asyncio.get_running_loop().time()
            self._prompted.set()
        self.counts_changed(name)

    def counts_changed(self, session_id: str) -> None:
        """Presence of a session changed; without subscribers here nothing follows."""
        if session_id in self._asked_at:
            self._changed[session_id] = None
            self._something.set()

    # Telling

    async def _tell_for_ever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(self._later.values(), default=None)):
                    await self._something.wait()
            self._something.clear()
            try:
                await self._tell_what_changed()
            except Exception:
                logger.exception("presence could not be told")
            await asyncio.sleep(PASS_SECONDS)

    async def _tell_what_changed(self) -> None:
        now = asyncio.get_running_loop().time()
        changed, self._changed = self._changed, {}
        for name, at in list(self._later.items()):
            if at <= now:
                del self._later[name]
                changed[name] = None
        for name in changed:
            room = self._hub.rooms.get(name)
            if room is None or not room.presence.subscribed:
                continue
            agents = self._agents.get(name)
            first_at = self._wanted_since.get(name, now) + FIRST_SECONDS
            if agents is None and self._away_since is None and now < first_at:
                self._later[name] = first_at
                continue
            presence = room.presence
            presence.update(PresenceState(self._watched[name], agents))
            if due := presence.due(now):
                await self._tell(room, due)
            if (next_at := presence.next_at()) is not None:
                self._later[name] = next_at

    async def _tell(self, room: Room, askers: list[Subscription]) -> None:
        """Write to each, unless it left, started anew or is slow."""
        there = room.presence.state
        assert there is not None
        body = presence_frame(room.session_id, there.viewers, there.agents)
        nobody = ("", "", 0)
        event = Event(room.session_id, "", None, 0, Visibility.PUBLIC, *nobody, body)
        outgoing = room.frame(event)
        framed: dict[Framing, bytes] = {}
        for number, asker in enumerate(askers, 1):
            if asker.live_since != NEVER:
                if asker.outlet.get_write_buffer_size() > MAX_UNSENT_BYTES:
                    self.skipped += 1
                else:
                    data = framed.get(asker.framing)
                    if data is None:
                        data = framed[asker.framing] = outgoing.framed(asker.framing)
                    asker.outlet.write(data)
                    self.sent += 1
            if number % SLICE == 0:
                await asyncio.sleep(0)

    # Asking

    async def _ask_for_ever(self) -> None:
        pause = BACKOFF_SECONDS[0]
        while True:
            self._prompted.clear()
            names = self._turn()
            if not names:
                await self._prompted.wait()
                continue
            try:
                found = await self._history.agents(names)
            except HistoryUnavailable:
                self._unknown()
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, BACKOFF_SECONDS[1])
                continue
            pause, self._away_since = BACKOFF_SECONDS[0], None
            for name in names:
                agents = found.get(name, ())
                if self._agents.get(name) != agents:
                    self._agents[name] = agents
                    self.counts_changed(name)
            await asyncio.sleep(MIN_ASK_SECONDS)
            with contextlib.suppress(TimeoutError):
                rest = (ASK_SECONDS - MIN_ASK_SECONDS) * random.uniform(0.8, 1)
                async with asyncio.timeout(rest):
                    await self._prompted.wait()

    def _turn(self) -> list[str]:
        """The sessions to ask about now: those that have waited longest."""
        rooms = self._hub.rooms
        for name in list(self._asked_at):
            room = rooms.get(name)
            if room is None or not room.presence.subscribed:
                del self._asked_at[name]
                self._wanted_since.pop(name, None)
                self._agents.pop(name, None)
                self._later.pop(name, None)
        names = sorted(self._asked_at, key=self._asked_at.__getitem__)[:MAX_AGENTS_SESSIONS]
        now = asyncio.get_running_loop().time()
        for name in names:
            self._asked_at[name] = now
        return names

    def _unknown(self) -> None:
        """mcp_node is away: after a while nothing is known of agents any more."""
        now = asyncio.get_running_loop().time()
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since >= PATIENCE_SECONDS:
            self._agents.clear()
            for name in self._asked_at:
                self.counts_changed(name)
