"""Viewers with a WebSocket: of one session on ``/ws/{session_id}``, of several on ``/ws``."""

import asyncio
import contextlib
import json
from typing import ClassVar, Final
from urllib.parse import urlencode

import websockets
from websockets.asyncio.client import ClientConnection

from tests.chaos.viewer_log import ViewerLog, decode
from tests.chaos.viewers import Viewer

PING: Final = '{"type":"ping"}'


class SocketViewer(Viewer):
    """A viewer of one session."""

    kind: ClassVar[str] = "socket"
    socket: ClientConnection | None = None

    @property
    def _connected(self) -> bool:
        return self.socket is not None

    async def _watch(self) -> None:
        connection = None
        try:
            connection = await self._connect()
            async with connection:
                self._pongs = asyncio.Queue[None]()
                self.socket = connection
                await self._begin(connection)
                while True:
                    frame = decode(await connection.recv())
                    if frame.type == "pong":
                        self._pongs.put_nowait(None)
                    else:
                        self._receive(frame)
                    await self._pause()
        except websockets.ConnectionClosed:
            if connection is not None and connection.close_code is not None:
                self._closed(connection.close_code)
        except websockets.InvalidStatus as refused:
            if refused.response.status_code != 503:
                self.breaches.append(f"{self.name}: {refused}")
        except (OSError, TimeoutError, websockets.InvalidHandshake):
            pass
        finally:
            self.socket = None

    async def _connect(self) -> ClientConnection:
        sock = await self._open()
        for viewer_log in self.viewer_logs.values():
            viewer_log.connected()
        try:
            connection = await websockets.connect(
                f"ws://127.0.0.1:{self._pair.ws_port}{self._address()}",
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
        self._came()
        return connection

    def _address(self) -> str:
        [viewer_log] = self.viewer_logs.values()
        since = viewer_log.since
        if since is None:
            return f"/ws/{viewer_log.room}"
        epoch = {} if viewer_log.epoch is None else {"epoch": viewer_log.epoch}
        return f"/ws/{viewer_log.room}?{urlencode({'since': viewer_log.ask(), **epoch})}"

    async def _begin(self, connection: ClientConnection) -> None:
        """Do what there is to do on a new connection."""
        [viewer_log] = self.viewer_logs.values()
        if viewer_log.asked:
            return
        if viewer_log.begins == "plain":
            viewer_log.joined()
        else:
            viewer_log.ask()
            await connection.send('{"type":"subscribe"}')

    async def _subscribe(self, connection: ClientConnection, viewer_log: ViewerLog) -> None:
        command: dict[str, object] = {"type": "subscribe", "session_id": viewer_log.room}
        since = viewer_log.ask()
        if since is not None:
            command |= {"since": since}
            command |= {} if viewer_log.epoch is None else {"epoch": viewer_log.epoch}
        await connection.send(json.dumps(command))

    def cut(self) -> bool:
        """Cut its connection."""
        if self.socket is None:
            return False
        self.socket.transport.abort()
        return True

    async def subscribe_again(self) -> bool:
        """Ask, on its live socket, for everything after one session's position once more."""
        connection, viewer_log = self.socket, self._rng.choice([*self.viewer_logs.values()])
        if connection is None or not viewer_log.live or viewer_log.asked or not viewer_log.got:
            return False
        with contextlib.suppress(websockets.ConnectionClosed):
            await self._subscribe(connection, viewer_log)
            return True
        return False

    async def has_everything(self) -> None:
        """Wait for the answer to a ping."""
        while True:
            try:
                if self.socket is not None:
                    while not self._pongs.empty():
                        self._pongs.get_nowait()
                    await self.socket.send(PING)
                    await asyncio.wait_for(self._pongs.get(), 5)
                    return
            except (websockets.ConnectionClosed, TimeoutError):
                pass
            await asyncio.sleep(0.05)


class ManyViewer(SocketViewer):
    """A viewer of several sessions over one socket, which it leaves and comes back to."""

    kind: ClassVar[str] = "many"

    def _address(self) -> str:
        return "/ws"

    async def _begin(self, connection: ClientConnection) -> None:
        for viewer_log in self.viewer_logs.values():
            await self._subscribe(connection, viewer_log)

    async def leave_a_session(self, seconds: float) -> bool:
        """Unsubscribe from one session, and come back to it if the socket is still there."""
        connection, viewer_log = self.socket, self._rng.choice([*self.viewer_logs.values()])
        if connection is None or not viewer_log.live or viewer_log.asked:
            return False
        try:
            await connection.send(
                json.dumps({"type": "unsubscribe", "session_id": viewer_log.room})
            )
        except websockets.ConnectionClosed:
            return False
        viewer_log.asked = True  # nothing else is asked until it is back
        self._absence = asyncio.create_task(self._come_back(connection, viewer_log, seconds))
        return True

    async def _come_back(
        self, connection: ClientConnection, viewer_log: ViewerLog, seconds: float
    ) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), seconds)
        while self.socket is connection and not viewer_log.left:
            await asyncio.sleep(0.02)
        if self.socket is connection:
            with contextlib.suppress(websockets.ConnectionClosed):
                await self._subscribe(connection, viewer_log)
