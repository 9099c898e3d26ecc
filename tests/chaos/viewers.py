"""The viewers: clients that behave as docs/websocket.md tells them to, and write down everything.

Three kinds, by how they begin: ``now`` sends the command ``subscribe``, ``all`` connects with
``since=0``, ``plain`` only connects. All come back with ``since`` and, once known, ``epoch``.
"""

import asyncio
import contextlib
import json
import random
import socket
import time
from collections import Counter
from typing import Final

import msgspec
import websockets
from websockets.asyncio.client import ClientConnection

from tests.chaos.agents import TYPES, checksum
from tests.chaos.judge import Got, Seer
from tests.pair import Pair

KINDS: Final = ("now", "all", "plain")
LOG_REPLACED: Final = 4002
FINAL: Final = 4500
SMALL_BUFFER: Final = 4_096
SMALL_SEGMENT: Final = 536
PING: Final = '{"type":"ping"}'


class _Data(msgspec.Struct, gc=False):
    id: int
    sender: str
    sender_type: str
    visibility: str
    content: str


class _Frame(msgspec.Struct, gc=False):
    type: str
    session_id: str = ""
    position: int | None = None
    epoch: str | None = None
    recovered: bool | None = None
    data: _Data | None = None


_decode = msgspec.json.Decoder(_Frame).decode


class Viewer:
    """One viewer of one session.

    Attributes:
        got: its transcript, with ``times`` of arrival.
        start: the position after which the transcript is complete; None while only ``moment``,
            the end of its handshake, is known.
        joined: when its first connection was made.
        connects, replays: connections made, and those answered with what was missed.
        resets: times it was told to reload, which must not happen.
        broken: breaches of the protocol, in words.
        codes: close codes it was given.
    """

    def __init__(self, pair: Pair, number: int, rooms: list[str], rng: random.Random) -> None:
        self.room = rooms[number % len(rooms)]
        self.begins = KINDS[number // len(rooms) % len(KINDS)]
        # As an agent, so that there is something private to see; every fifth is an admin.
        name, self.kind = f"agent-{number % 20:02}", TYPES[number % 20 % len(TYPES)]
        is_admin = number % 5 == 0
        self.seer = Seer(name, self.kind, is_admin)
        self.name = f"viewer-{number:02} ({self.begins}, {name}, {self.kind}, admin={is_admin})"
        self.got: list[Got] = []
        self.times: list[float] = []
        self.start: int | None = None
        self.moment = 0.0
        self.joined = float("inf")
        self.connects = self.replays = self.resets = 0
        self.broken: list[str] = []
        self.codes: Counter[int] = Counter()
        self.socket: ClientConnection | None = None
        self._rng = rng
        self._port = pair.ws_port
        self._small = number % 2 == 0
        scopes = "read,admin" if is_admin else "read"
        self._headers = pair.headers(name, kind=self.kind, scopes=scopes)
        self._epoch: str | None = None
        self._awaiting: int | None = None
        self._subscribed = True
        self._asked_again = False
        self._stall = 0.0
        self._awake = asyncio.Event()
        self._pongs = asyncio.Queue[None]()

    @property
    def last(self) -> int | None:
        """How far it has read; None if it does not know."""
        return self.got[-1].id if self.got else self.start

    async def watch_for_ever(self) -> None:
        """Connect, read, come back."""
        failures = 0
        while True:
            try:
                async with await self._connect() as self.socket:
                    failures = 0
                    await self._read(self.socket)
            except websockets.ConnectionClosed:
                self._closed(self.socket)
            except websockets.InvalidStatus as refused:
                if refused.response.status_code != 503:
                    self.broken.append(f"{self.name}: {refused}")
            except (OSError, TimeoutError, websockets.InvalidHandshake):
                pass
            finally:
                self.socket = None
            failures += 1
            await asyncio.sleep(self._rng.uniform(0, min(2.0, 0.1 * 2**failures)))

    async def _connect(self) -> ClientConnection:
        since = 0 if self.last is None and self.begins == "all" else self.last
        query = "" if since is None else f"?since={since}"
        if self._epoch is not None and since is not None:
            query += f"&epoch={self._epoch}"
        sock = socket.socket()
        try:
            if (
                self._small
            ):  # else the kernel takes 2.6 MB on loopback before a node sees it is slow
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
            connection = await websockets.connect(
                f"ws://127.0.0.1:{self._port}/ws/{self.room}{query}",
                sock=sock,
                additional_headers=self._headers,
                compression=None,
                proxy=None,
                max_queue=4,
                open_timeout=10,
                close_timeout=1,
            )
        except BaseException:
            sock.close()
            raise
        self.connects += 1
        self.joined = min(self.joined, time.monotonic())
        self._awaiting = since
        self._subscribed = since is None and self.begins == "plain"
        self._asked_again = False
        if since is None:
            self.moment = time.monotonic()
            if self.begins == "now":
                await connection.send('{"type":"subscribe"}')
        return connection

    async def _read(self, connection: ClientConnection) -> None:
        while True:
            self._take(_decode(await connection.recv()))
            if self._stall:
                seconds, self._stall = self._stall, 0.0
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._awake.wait(), seconds)

    def _take(self, frame: _Frame) -> None:
        if frame.type == "new_message" and frame.data is not None:
            if self._subscribed:
                self._note(frame, frame.data)
            elif self._awaiting is not None:
                self.broken.append(f"{self.name}: a message before subscribed")
        elif frame.type == "subscribed":
            self._begin(frame)
        elif frame.type == "pong":
            self._pongs.put_nowait(None)
        else:
            self.broken.append(f"{self.name}: {frame}")

    def _note(self, frame: _Frame, data: _Data) -> None:
        if frame.position != data.id or frame.session_id != self.room:
            self.broken.append(f"{self.name}: {frame.position} {frame.session_id} {data.id}")
        self.got.append(
            Got(data.id, checksum(data.sender, data.sender_type, data.visibility, data.content))
        )
        self.times.append(time.monotonic())

    def _begin(self, frame: _Frame) -> None:
        """A subscription is answered: the transcript goes on from there."""
        assert frame.position is not None
        self._epoch = frame.epoch
        self._subscribed = True
        self._asked_again = False
        if self._awaiting is None:
            self.start = frame.position
            return
        if not frame.recovered:
            self.resets += 1
            self._reload(frame.position)
            return
        self.replays += 1
        if frame.position != self._awaiting:
            self.broken.append(f"{self.name}: {self._awaiting} answered with {frame.position}")
        if self.start is None and not self.got:
            self.start = frame.position
        while self.got and self.got[-1].id > frame.position:
            self.got.pop()  # came after a later position was asked for on a live socket
            self.times.pop()

    def _reload(self, position: int) -> None:
        self.got.clear()
        self.times.clear()
        self.start = position

    def _closed(self, connection: ClientConnection | None) -> None:
        code = connection.close_code if connection is not None else None
        if code is None:
            return
        self.codes[code] += 1
        if code == LOG_REPLACED:
            self.resets += 1
            self._epoch = None
            self._reload(0)
        elif code >= FINAL:
            self.broken.append(f"{self.name}: closed with {code}")

    # What is done to it, or what it does

    def cut(self) -> bool:
        """Cut its connection, as a network does; whether there was one."""
        if self.socket is None:
            return False
        self.socket.transport.abort()
        return True

    def stall(self, seconds: float) -> bool:
        """Have it stop reading for a while."""
        self._stall = seconds
        return self.socket is not None

    def wake(self) -> None:
        """Have it read on, and never stop again."""
        self._awake.set()

    async def subscribe_again(self) -> bool:
        """Have it ask, on its live socket, for everything after its position once more."""
        connection, since = self.socket, self.last
        if connection is None or not self._subscribed or self._asked_again or not self.got:
            return False
        self._asked_again = True
        self._awaiting = since
        command = {"type": "subscribe", "since": since}
        if self._epoch is not None:
            command["epoch"] = self._epoch
        try:
            await connection.send(json.dumps(command))
        except websockets.ConnectionClosed:
            return False
        return True

    def has_come_to(self, position: int) -> bool:
        """Whether it has read so far."""
        return (self.last or 0) >= position

    async def has_everything(self) -> None:
        """Wait until whatever was on its way to it has been read."""
        while True:
            while not self._pongs.empty():
                self._pongs.get_nowait()
            try:
                if self.socket is not None:
                    await self.socket.send(PING)
                    await asyncio.wait_for(self._pongs.get(), 5)
                    return
            except (websockets.ConnectionClosed, TimeoutError):
                pass
            await asyncio.sleep(0.05)
