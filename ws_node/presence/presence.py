"""Presence: frames for viewers that subscribed to it, with the number of viewers and the agents.

The number of viewers of a session is known here (`ViewerCounts`). The agents at work are requested
from mcp_node: one request every two seconds for all rooms with subscribers, none without
subscribers. While mcp_node is unavailable, ``agents`` is null.

Frames are written between the turns of the fan-out, so that no message waits for them. A viewer
with much unsent is skipped: presence is delivered at most once, and disconnects nobody.
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

REQUEST_SECONDS: Final = 2.0
"""Interval of requests to mcp_node; beyond `MAX_AGENTS_SESSIONS` rooms they take turns."""

MIN_REQUEST_SECONDS: Final = 0.25
"""Minimum interval of requests, when a room whose agents are not known prompts one."""

BACKOFF_SECONDS: Final = (0.5, 4.0)
"""First and longest pause between requests while mcp_node is unavailable."""

PATIENCE_SECONDS: Final = 5.0
"""How long mcp_node's last answer is used while it is unavailable."""

FIRST_SECONDS: Final = 0.5
"""How long a room's first subscriber waits for the agents before it gets presence without them."""

PASS_SECONDS: Final = 0.1
"""Minimum time between two passes over the changed sessions."""

SLICE: Final = 250
"""Viewers written to before the event loop gets a turn."""

MAX_UNSENT_BYTES: Final = 65_536
"""A viewer with more unsent is skipped."""

logger = logging.getLogger(__name__)


class Presence:
    """Sends presence frames.

    Args:
        hub: has the rooms.
        history: to request agents from.
        watched: the number of viewers of each session.

    Attributes:
        sent: frames written.
        skipped: frames not written to viewers with much unsent.
    """

    def __init__(self, hub: Hub, history: History, watched: ViewerCounts) -> None:
        self.sent = 0
        self.skipped = 0
        self._hub = hub
        self._history = history
        self._watched = watched
        self._changed: dict[str, None] = {}
        self._later: dict[str, float] = {}
        self._any_changed = asyncio.Event()
        self._requested_at: dict[str, float] = {}
        self._agents: dict[str, tuple[AgentHere, ...]] = {}
        self._wanted_since: dict[str, float] = {}
        self._prompted = asyncio.Event()
        self._away_since: float | None = None

    async def run(self) -> None:
        """Send and request until cancelled. Failures are logged and retried."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_for_ever())
            group.create_task(self._request_for_ever())

    def attendance_changed(self, room: Room) -> None:
        """A viewer entered or left a room of this worker, or subscribed to its presence."""
        self._watched.mark_changed()
        if not room.presence.subscribed:
            return
        name = room.session_id
        if name not in self._requested_at:
            self._requested_at[name] = float("-inf")
            self._wanted_since[name] = asyncio.get_running_loop().time()
            self._prompted.set()
        self.counts_changed(name)

    def counts_changed(self, session_id: str) -> None:
        """Presence of a session changed; without subscribers here nothing follows."""
        if session_id in self._requested_at:
            self._changed[session_id] = None
            self._any_changed.set()

    # Sending

    async def _send_for_ever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(self._later.values(), default=None)):
                    await self._any_changed.wait()
            self._any_changed.clear()
            try:
                await self._send_changes()
            except Exception:
                logger.exception("presence could not be sent")
            await asyncio.sleep(PASS_SECONDS)

    async def _send_changes(self) -> None:
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
                await self._send(room, due)
            if (next_at := presence.next_at()) is not None:
                self._later[name] = next_at

    async def _send(self, room: Room, subscribers: list[Subscription]) -> None:
        """Write to each subscriber that is live and not slow."""
        state = room.presence.state
        assert state is not None
        body = presence_frame(room.session_id, state.viewers, state.agents)
        nobody = ("", "", 0)
        event = Event(room.session_id, "", None, 0, Visibility.PUBLIC, *nobody, body)
        outgoing = room.frame(event)
        framed: dict[Framing, bytes] = {}
        for number, subscriber in enumerate(subscribers, 1):
            if subscriber.live_since != NEVER:
                if subscriber.outlet.get_write_buffer_size() > MAX_UNSENT_BYTES:
                    self.skipped += 1
                else:
                    data = framed.get(subscriber.framing)
                    if data is None:
                        data = framed[subscriber.framing] = outgoing.framed(subscriber.framing)
                    subscriber.outlet.write(data)
                    self.sent += 1
            if number % SLICE == 0:
                await asyncio.sleep(0)

    # Requesting

    async def _request_for_ever(self) -> None:
        pause = BACKOFF_SECONDS[0]
        while True:
            self._prompted.clear()
            names = self._next_sessions()
            if not names:
                await self._prompted.wait()
                continue
            try:
                found = await self._history.agents(names)
            except HistoryUnavailable:
                self._mcp_unavailable()
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, BACKOFF_SECONDS[1])
                continue
            pause, self._away_since = BACKOFF_SECONDS[0], None
            for name in names:
                agents = found.get(name, ())
                if self._agents.get(name) != agents:
                    self._agents[name] = agents
                    self.counts_changed(name)
            await asyncio.sleep(MIN_REQUEST_SECONDS)
            with contextlib.suppress(TimeoutError):
                rest = (REQUEST_SECONDS - MIN_REQUEST_SECONDS) * random.uniform(0.8, 1)
                async with asyncio.timeout(rest):
                    await self._prompted.wait()

    def _next_sessions(self) -> list[str]:
        """The sessions of the next request: those that have waited longest."""
        rooms = self._hub.rooms
        for name in list(self._requested_at):
            room = rooms.get(name)
            if room is None or not room.presence.subscribed:
                del self._requested_at[name]
                self._wanted_since.pop(name, None)
                self._agents.pop(name, None)
                self._later.pop(name, None)
        names = sorted(self._requested_at, key=self._requested_at.__getitem__)[:MAX_AGENTS_SESSIONS]
        now = asyncio.get_running_loop().time()
        for name in names:
            self._requested_at[name] = now
        return names

    def _mcp_unavailable(self) -> None:
        """mcp_node is unavailable: after `PATIENCE_SECONDS` the agents are not known any more."""
        now = asyncio.get_running_loop().time()
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since >= PATIENCE_SECONDS:
            self._agents.clear()
            for name in self._requested_at:
                self.counts_changed(name)
