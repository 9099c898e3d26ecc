"""The viewers: clients that behave as docs/websocket.md tells them to, and write down everything.

Three kinds: one session over a WebSocket, several over one, one as server-sent events. A session
begins in one of three ways: ``now`` sends the command ``subscribe``, ``all`` asks ``since=0``,
``plain`` only connects. All come back with ``since`` and, once known, ``epoch``.
"""

import asyncio
import contextlib
import random
import socket
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Final

from tests.chaos.agents import TYPES
from tests.chaos.judge import Audience
from tests.chaos.viewer_log import Frame, ViewerLog
from tests.pair import Pair

LOG_REPLACED: Final = 4002
FINAL: Final = 4500
SMALL_BUFFER: Final = 4_096
SMALL_SEGMENT: Final = 536


class Viewer(ABC):
    """One client.

    Attributes:
        kind: what sort of client it is.
        viewer_logs: what it was given, by session.
        joined: when its first connection was made.
        connects: connections made.
        breaches: breaches of the protocol that belong to no session, in words.
        codes: close codes it was given.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        pairs: Sequence[Pair],
        number: int,
        rooms: Sequence[str],
        begins: str,
        rng: random.Random,
    ) -> None:
        # As an agent, so that there is something private to see; every fifth is an admin.
        name, agent_type = f"agent-{number % 20:02}", TYPES[number % 20 % len(TYPES)]
        is_admin = number % 5 == 0
        self.name = (
            f"viewer-{number:02} ({self.kind}, {begins}, {name}, {agent_type}, admin={is_admin})"
        )
        audience = Audience(name, agent_type, is_admin)
        self.viewer_logs = {room: ViewerLog(self.name, room, audience, begins) for room in rooms}
        self.joined = float("inf")
        self.connects = 0
        self.breaches: list[str] = []
        self.codes: Counter[int] = Counter()
        self._pairs = pairs
        self._pair = pairs[0]
        self._rng = rng
        self._small = number % 2 == 0
        scopes = "read,admin" if is_admin else "read"
        self._headers = self._pair.headers(name, kind=agent_type, scopes=scopes)
        self._failures = 0
        self._stall = 0.0
        self._awake = asyncio.Event()

    async def watch_for_ever(self) -> None:
        """Connect, read, come back."""
        while True:
            await self._watch()
            self._failures += 1
            await asyncio.sleep(self._rng.uniform(0, min(2.0, 0.1 * 2**self._failures)))

    @abstractmethod
    async def _watch(self) -> None:
        """Connect once, and read to the connection's end, whatever ends it."""

    @abstractmethod
    def cut(self) -> bool:
        """Cut its connection, as a network does; whether there was one."""

    @abstractmethod
    async def subscribe_again(self) -> bool:
        """Have it ask for everything after its position once more; whether it did."""

    @abstractmethod
    async def has_everything(self) -> None:
        """Wait until whatever was on its way to it has been read."""

    async def leave_a_session(self, seconds: float) -> bool:
        """Have it unsubscribe for a while; whether it did."""
        return False

    def stall(self, seconds: float) -> bool:
        """Have it stop reading for a while; whether it was connected."""
        self._stall = seconds
        return self._connected

    def wake(self) -> None:
        """Have it read on, and never stop again."""
        self._awake.set()

    @property
    @abstractmethod
    def _connected(self) -> bool:
        """Whether it has a connection."""

    async def _open(self) -> socket.socket:
        """A connection to any ws_node; a small one fills, where 2.6 MB fit into another."""
        self._pair = self._rng.choice(self._pairs)
        sock = socket.socket()
        try:
            if self._small:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            sock.setblocking(False)
            address = ("127.0.0.1", self._pair.ws_port)
            await asyncio.get_running_loop().sock_connect(sock, address)
        except BaseException:
            sock.close()
            raise
        return sock

    def _came(self) -> None:
        """A connection is made."""
        self.connects += 1
        self._failures = 0
        self.joined = min(self.joined, time.monotonic())

    def _receive(self, frame: Frame) -> None:
        """Give a frame to the session it names."""
        viewer_log = self.viewer_logs.get(frame.session_id)
        if viewer_log is None:
            self.breaches.append(f"{self.name}: {frame}")
        else:
            viewer_log.receive(frame)

    async def _pause(self) -> None:
        """Stop reading, if it was told to."""
        if self._stall:
            seconds, self._stall = self._stall, 0.0
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), seconds)

    def _closed(self, code: int) -> None:
        """The server said why the connection ends."""
        self.codes[code] += 1
        if code == LOG_REPLACED:
            for viewer_log in self.viewer_logs.values():
                viewer_log.log_replaced()
        elif code >= FINAL:
            self.breaches.append(f"{self.name}: closed with {code}")
