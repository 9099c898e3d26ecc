"""What the tests of ws_node share: events, settings, and the real parts on a free port."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import uvicorn
import websockets

from proto.messages import Visibility
from proto.revocations import Revocations
from proto.settings import Settings
from proto.wire import Event
from serving.http.failures import Failures
from serving.http.identity import Identity
from serving.quota import Quota
from tests.waiting import until
from ws_node.endpoints.protocol import EXTENSION, LendingProtocol
from ws_node.endpoints.websocket import Sockets
from ws_node.log.catch_up import CatchUp
from ws_node.log.client import History
from ws_node.rooms.dispatcher import Dispatcher
from ws_node.rooms.event_queue import EventQueue
from ws_node.rooms.hub import Hub
from ws_node.rooms.room import Room

EPOCH = "e1"


def make_event(id_: int | None, body: bytes = b"{}", **more: Any) -> Event:
    fields: dict[str, Any] = {
        "session_id": "room",
        "epoch": EPOCH if id_ else "",
        "id": id_,
        "prev": (id_ or 1) - 1,
        "visibility": Visibility.PUBLIC,
        "principal": "alice",
        "sender_type": "claude",
        "published_ns": 0,
        "body": body,
    }
    return Event(**(fields | more))


def make_settings(directory: Path, **more: Any) -> Settings:
    return Settings(data_dir=directory, auth="off", **more)


def ignore(*_: object) -> None:
    """A callback for what a test does not look at."""


def make_hub(settings: Settings, revocations: Revocations | None = None, **callbacks: Any) -> Hub:
    """A hub that notifies nobody, except by the callbacks given."""
    notified = {"on_want": ignore, "on_attendance": ignore} | callbacks
    return Hub(settings, revocations or Revocations(), **notified)


@contextlib.asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncIterator[int]:
    """Serve an ASGI app with LendingProtocol on a free port; the port."""
    config = uvicorn.Config(
        app,
        ws=LendingProtocol,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
        **{"ws_per_message_deflate": False, **options},
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve(sockets=[bound]))
        try:
            await until(lambda: server.started)
            yield int(bound.getsockname()[1])
        finally:
            server.should_exit = True
            await task


class Live:
    """A hub that runs, its endpoint, and connections to it; no mcp_node, no following."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.settings = make_settings(directory, **settings)
        self.queue = EventQueue(self.settings.max_queued_events)
        self.on_want: Callable[[Room], None] = ignore
        self.on_attendance: Callable[[Room], None] = ignore
        self.hub = make_hub(
            self.settings,
            on_want=lambda room: self.on_want(room),
            on_attendance=lambda room: self.on_attendance(room),
        )
        self.dispatcher = Dispatcher(
            self.hub, self.queue, on_want=lambda room: self.on_want(room), on_foreign=ignore
        )
        self.history = History(self.settings)
        identity = Identity(None, auth_off=True)  # type: ignore[arg-type]  # no tokens here
        self.places = Quota(self.settings.max_viewers_per_principal, self.settings.max_viewers)
        self.sockets = Sockets(
            self.settings,
            identity=identity,
            failures=Failures(0),
            hub=self.hub,
            catch_up=CatchUp(self.hub, self.history, self.settings.max_replays_per_principal),
            places=self.places,
        )
        self.connections: list[LendingProtocol] = []
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator["Live"]:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            self.connections.append(scope["extensions"][EXTENSION])
            scope["path_params"] = {"session_id": scope["path"].rpartition("/")[2]}
            await self.sockets(scope, receive, send)

        dispatching = asyncio.create_task(self.dispatcher.run())
        try:
            async with served(app, **options) as self.port:
                yield self
        finally:
            dispatching.cancel()
            await asyncio.gather(dispatching, return_exceptions=True)
            await self.history.close()

    def open_room(self, head: int = 0, session_id: str = "room") -> Room:
        """A room whose position is known, and that stays."""
        self.hub.epoch = EPOCH
        room = self.hub.enter(session_id)
        if room.follower.last is None:
            room.learn_head(head, head)
            room.follower.positioned(EPOCH, head)
            room.open_ring()
        return room

    def viewer(self, session_id: str = "room", query: str = "", **more: Any) -> websockets.connect:
        url = f"ws://127.0.0.1:{self.port}/ws/{session_id}{query}"
        return websockets.connect(url, **{"compression": None, "proxy": None, **more})

    async def raw_viewer(
        self, session_id: str = "room", buffer: int = 4096, header: str = ""
    ) -> socket.socket:
        """A viewer that has completed its handshake and reads nothing by itself."""
        loop = asyncio.get_running_loop()
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        peer.setblocking(False)
        await loop.sock_connect(peer, ("127.0.0.1", self.port))
        request = (
            f"GET /ws/{session_id} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{header}\r\n"
        )
        await loop.sock_sendall(peer, request.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            piece = await loop.sock_recv(peer, 1)
            if not piece:
                peer.close()
                raise ConnectionError("the handshake was not answered")
            answer += piece
        assert answer.startswith(b"HTTP/1.1 101"), answer
        return peer
