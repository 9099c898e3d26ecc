"""``GET /events/{session_id}``: a session as server-sent events, for clients without WebSocket.

Each durable message is an event whose ``id`` is its position. A client that reconnects sends the
last one as ``Last-Event-ID`` and continues from there (``?since=ID[&epoch=E]`` does the same; the
first event, ``subscribed``, has the epoch). Everything else is as on ``/ws/{session_id}``. When the
server ends a stream, the last event, ``disconnect``, says why: ``{"code": …, "reason": …}``.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from proto.errors import Overloaded, PartylineError
from serving.http.asgi import Receive, Scope, Send
from serving.http.identity import Identity, header_values
from serving.http.problems import send_problem
from serving.http.protocol import TRANSPORT
from serving.quota import Quota
from ws_node.endpoints.admission import admit, check_session, command_of, number, presence_of
from ws_node.endpoints.commands import check_position
from ws_node.endpoints.protocol import CLOSE_SECONDS
from ws_node.log.catch_up import CatchUp, Subscribe
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.framing import Framing
from ws_node.rooms.hub import Hub
from ws_node.rooms.viewer import Viewer

HEARTBEAT_SECONDS: Final = 20.0
"""After so long without an event a comment is sent, so that a dead client is noticed."""

HIGH_WATER_BYTES: Final = 65_536
"""Unsent bytes above which a replay waits."""

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class EventStream:
    """The connection of one client: `run` sends what is written to it.

    Attributes:
        over: set once the stream has ended and accepts no more bytes.
    """

    framing = Framing.EVENT_STREAM

    def __init__(self) -> None:
        self.writable = asyncio.Event()
        self.writable.set()
        self._on_leave: Callable[[], None] = lambda: None
        self._pieces: list[bytes] = []
        self._unsent = 0
        self.over = asyncio.Event()
        self._wake = asyncio.Event()
        self._ended = False

    @property
    def outlet(self) -> "EventStream":
        """The stream itself."""
        return self

    def call_on_leave(self, callback: Callable[[], None]) -> None:
        """Have a callback called once, before the stream ends for whatever reason."""
        self._on_leave = callback

    def write(self, data: bytes) -> None:
        """Queue bytes; the fan-out limits how many wait."""
        if not self._ended:
            self._pieces.append(data)
            self._unsent += len(data)
            if self._unsent > HIGH_WATER_BYTES:
                self.writable.clear()
            self._wake.set()

    def get_write_buffer_size(self) -> int:
        """Bytes not passed to the server yet."""
        return self._unsent

    def disconnect(self, why: Disconnect) -> None:
        """Queue a last event that says why, and end the stream; idempotent."""
        if self._ended:
            return
        reason = msgspec.json.encode({"code": why.code, "reason": why.reason})
        if why is Disconnect.SLOW:
            self._pieces.clear()
        self.write(b"event: disconnect\ndata: " + reason + b"\n\n")
        self.end()

    def end(self) -> None:
        """End the stream: what is queued is still sent."""
        self._ended = True
        self.over.set()
        self._on_leave()
        self._on_leave = lambda: None
        self.writable.set()
        self._wake.set()

    async def run(self, send: Send) -> None:
        """Send what is written, until the stream has ended and everything is sent."""
        while True:
            if not self._pieces and not self._ended:
                self._wake.clear()
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    self.write(b": still here\n\n")
            pieces, self._pieces = self._pieces, []
            if pieces:
                body = b"".join(pieces)
                await send({"type": "http.response.body", "body": body, "more_body": True})
                self._unsent = sum(map(len, self._pieces))
                self.writable.set()
            elif self._ended:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return


class EventStreams:
    """The endpoint. ``scope["path_params"]`` holds ``session_id``."""

    def __init__(self, *, identity: Identity, hub: Hub, catch_up: CatchUp, places: Quota) -> None:
        self._identity = identity
        self._hub = hub
        self._catch_up = catch_up
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream until the client disconnects or the server ends it."""
        try:
            principal = admit(scope, self._identity)
            session_id = check_session(principal, scope["path_params"]["session_id"])
            command = _command(session_id, scope)
            presence = presence_of(scope["query_string"])
            if not self._places.acquire(principal.agent_id):
                raise Overloaded("This node is full.", "Try again in a moment.")
        except PartylineError as error:
            await send_problem(send, error)
            return
        stream = EventStream()
        viewer = Viewer(stream, principal)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            self._hub.connect(viewer)
            subscription = self._hub.subscribe(viewer, session_id, presence=presence)
            subscription.start_replay(self._catch_up.subscribe(subscription, command))
            await _until_gone(stream, scope["extensions"][TRANSPORT], receive, send)
        finally:
            stream.end()
            self._hub.disconnect(viewer)
            self._places.release(principal.agent_id)


def _command(session_id: str, scope: Scope) -> Subscribe:
    """Where a stream starts: after Last-Event-ID, else after ``since``, else now."""
    last = header_values(scope["headers"], b"last-event-id")
    if last and last[-1]:
        asked = command_of(session_id, scope["query_string"])
        epoch = None if asked is None else asked.epoch
        return Subscribe(session_id, *check_position(number(last[-1]), epoch))
    return command_of(session_id, scope["query_string"]) or Subscribe(session_id)


async def _until_gone(
    stream: EventStream, transport: asyncio.Transport, receive: Receive, send: Send
) -> None:
    """Run a stream to its end. A client that does not read that end is aborted."""

    async def leave() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        stream.end()

    async def cut() -> None:
        await stream.over.wait()
        await asyncio.sleep(CLOSE_SECONDS)
        transport.abort()

    watching = [asyncio.create_task(leave()), asyncio.create_task(cut())]
    try:
        await stream.run(send)
    finally:
        for task in watching:
            task.cancel()
