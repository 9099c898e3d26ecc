"""uvicorn's WebSocket protocol, lending its transport to the hub.

Handshake, ping, pong and the closing handshake stay uvicorn's; data frames are written straight
to the transport, already framed and shared by all viewers of an audience. Reaches into the
pinned uvicorn release: a test holds what is used.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidHandshake, InvalidState
from websockets.frames import Frame
from websockets.http11 import Request

from ws_node.endpoints.read_buffer import ReadBuffer
from ws_node.rooms.deflate import SharedDeflate
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.framing import Framing

EXTENSION: Final = "partyline.connection"
"""Key under which a connection puts itself into ``scope["extensions"]``."""

CLOSE_SECONDS: Final = 10.0
"""How long a viewer may take to answer a close frame before its socket is cut."""

SHUTDOWN_SECONDS: Final = 2.0
"""The same while the server stops, which itself waits three seconds."""

PONG_BYTES: Final = 2 * 1_048_576
"""Unsent bytes at which a viewer that sends pings is closed."""

_SHARED_DEFLATE: Final = SharedDeflate()

_NO_HANDSHAKE: Final = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n"
    b"content-length: 31\r\n\r\nThis is no WebSocket handshake."
)


def _ignored() -> None:
    """What a connection calls when it ends, until `LendingProtocol.call_on_leave`."""


class LendingProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection.

    With uvicorn's option ``ws_per_message_deflate`` clients may negotiate compression, in a form
    that allows shared frames. What they send is inflated to at most ``ws_max_size`` bytes.

    Attributes:
        framing: known once the connection is in its app's scope.
    """

    framing = Framing.WEBSOCKET
    _on_leave: Callable[[], None] = staticmethod(_ignored)

    def __init__(self, config: Config, *more: Any, **options: Any) -> None:
        super().__init__(config, *more, **options)
        self._unparsed = ReadBuffer()
        self._frames = 0
        self._parsing: asyncio.Handle | None = None
        if config.ws_per_message_deflate:
            self.conn.available_extensions = [_SHARED_DEFLATE]

    @property
    def outlet(self) -> asyncio.Transport:
        """The transport: whole frames may be written to it until the connection ends."""
        return self.transport

    def call_on_leave(self, callback: Callable[[], None]) -> None:
        """Have a callback called once, before anything that ends the connection.

        From that call on no data frame may be written.
        """
        self._on_leave = callback

    def data_received(self, data: bytes) -> None:
        """Take bytes: a handshake as it is, whatever follows with the limits of `ReadBuffer`.

        uvicorn leaves a handshake that websockets cannot read unanswered, open.
        """
        if self.handshake_initiated:
            self._unparsed.add(data)
            if self._parsing is None:
                self._parse()
            return
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_handshake()

    def handle_events(self) -> None:
        """Handle what was parsed, and count it."""
        self._frames += len(self.conn.events)
        super().handle_events()

    async def send(self, message: Any) -> None:
        """Send a message of the app: it accepts the handshake or refuses it with an HTTP answer."""
        await super().send(message)
        if self.close_sent and self.initial_response is not None:
            # uvicorn does not count a refusal as the end of the handshake. It would log an error
            # for each once the app returns, and strangers could fill the log.
            self.handshake_complete = True

    async def receive(self) -> Any:
        """The next message for the app; what follows it is parsed once it has them all."""
        message: Any = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            if self._parsing is None:
                self._parse()
        return message

    def _parse(self) -> None:
        """Parse what came, until the app has a message to take or the viewer has sent too much."""
        self._parsing = None
        while self._unparsed and not self.read_paused and not self.transport.is_closing():
            self._frames = 0
            super().data_received(self._unparsed.read())
            if self.conn.parser_exc is not None:
                self._unparsed.clear()
            elif wait := self._unparsed.delay(self._frames, self.loop.time()):
                if self._parsing is None:
                    self._parsing = self.loop.call_later(wait, self._parse)
                break
        if self.transport.is_closing():
            self._unparsed.clear()
        elif self._unparsed or self.read_paused:
            self.transport.pause_reading()
        elif not self.transport.is_reading():
            self.transport.resume_reading()

    def handle_connect(self, event: Request) -> None:
        """Start the ASGI app, with this connection in its scope."""
        try:
            self.conn.process_request(event)
        except InvalidHandshake:  # the library's own answer repeats the request
            self._refuse_handshake()
            return
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][EXTENSION] = self
            if self.conn.extensions:
                self.framing = Framing.DEFLATED

    def forget_handshake(self) -> None:
        """Let go of every header, the token among them, once the handshake is over.

        uvicorn and websockets would hold them for as long as the viewer stays.
        """
        self.request.headers.clear()
        self.response.headers.clear()
        self.scope["headers"] = []

    def disconnect(self, why: Disconnect, within: float | None = None) -> None:
        """Send a close frame and let the ASGI app know; idempotent.

        The socket is cut when the viewer has not answered after ``within`` seconds
        (`CLOSE_SECONDS`), read or not.
        """
        self._leave()
        if self.close_sent or self.transport.is_closing():
            return
        try:
            self.conn.send_close(why.code, why.reason)
        except InvalidState:
            self.transport.close()
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": why.code, "reason": why.reason}
        )
        self.read_paused = False
        if self._parsing is None:  # not at once: this may come from within
            self._parsing = self.loop.call_soon(self._parse)
        self._cut_later(within)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._leave()
        self._unparsed.clear()
        if self._parsing is not None:
            self._parsing.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops; a handshake under way is answered 503 (uvicorn would say 500)."""
        self._leave()
        if not self.handshake_complete and self.initial_response is None:
            response = self.conn.reject(503, "the server restarts\n")
            response.headers["Retry-After"] = "1"
            self.conn.send_response(response)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
            return
        super().shutdown()
        if not self.disconnected:
            self.close_timer = self.loop.call_later(SHUTDOWN_SECONDS, self.transport.abort)

    def handle_close(self, event: Frame) -> None:
        """The viewer says goodbye."""
        self._leave()
        super().handle_close(event)
        self._cut_later()

    def handle_parser_exception(self) -> None:
        """The viewer broke the protocol."""
        self._leave()
        super().handle_parser_exception()
        self._cut_later()

    def keepalive_timeout(self) -> None:
        """The viewer did not answer a ping."""
        self._leave()
        super().keepalive_timeout()
        self._cut_later()

    def eof_received(self) -> None:
        """The viewer sends no more, so it cannot answer a close frame either."""
        self._leave()
        self._cut_later()

    def send_receive_event_to_app(self) -> None:
        """Hand on a whole message; text that is not UTF-8 ends the connection, without a trace."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answer, unless the viewer only asks and never reads."""
        if self.close_sent:
            self.conn.data_to_send()  # the answer, unsent
            return
        super().handle_ping()
        if self.transport.get_write_buffer_size() > PONG_BYTES:
            self.disconnect(Disconnect.SLOW)

    def _refuse_handshake(self) -> None:
        """Say no, once, and close."""
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        self.transport.write(_NO_HANDSHAKE)
        self.transport.close()

    def _cut_later(self, seconds: float | None = None) -> None:
        """Closing waits until everything is sent: with a peer that does not read, for ever."""
        if self.close_timer is None and not self.disconnected:
            seconds = CLOSE_SECONDS if seconds is None else seconds
            self.close_timer = self.loop.call_later(seconds, self.transport.abort)

    def _leave(self) -> None:
        self._on_leave()
        self._on_leave = _ignored
