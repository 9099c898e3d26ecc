"""uvicorn's WebSocket protocol, with its transport lent to the fan-out.

uvicorn handles the opening and closing handshakes, pings and pongs. Data frames are written
straight to the transport: they are already framed, and shared by all viewers of an audience. This
uses internals of the pinned uvicorn release; a test checks that they exist.
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
"""Key of the connection in ``scope["extensions"]``."""

CLOSE_SECONDS: Final = 10.0
"""How long a viewer may take to answer a close frame before its socket is aborted."""

SHUTDOWN_SECONDS: Final = 2.0
"""The same while the server stops, which itself waits three seconds."""

PONG_BYTES: Final = 2 * 1_048_576
"""Unsent bytes above which a viewer that sends a ping is disconnected."""

_SHARED_DEFLATE: Final = SharedDeflate()

_NO_HANDSHAKE: Final = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n"
    b"content-length: 31\r\n\r\nThis is no WebSocket handshake."
)


def _ignored() -> None:
    """What a connection calls when it ends, until `LendingProtocol.call_on_leave`."""


class LendingProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection.

    With uvicorn's option ``ws_per_message_deflate`` clients may negotiate compression, if shared
    frames are valid with their parameters. Their own messages are inflated to at most
    ``ws_max_size`` bytes.

    Attributes:
        framing: of the connection, set before its app is called.
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
        """Receive bytes: the handshake at once, what follows within the limits of `ReadBuffer`.

        A handshake that websockets cannot parse is refused here: uvicorn would leave it open and
        unanswered.
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
        """Handle the parsed frames, and count them."""
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
        """The next message for the app. Once it has received all, parsing continues."""
        message: Any = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            if self._parsing is None:
                self._parse()
        return message

    def _parse(self) -> None:
        """Parse until a message waits for the app or the rate of frames is exceeded."""
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
        except InvalidHandshake:  # the library's own answer would repeat parts of the request
            self._refuse_handshake()
            return
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][EXTENSION] = self
            if self.conn.extensions:
                self.framing = Framing.DEFLATED

    def forget_handshake(self) -> None:
        """Drop all headers, the token among them, once the handshake is complete.

        uvicorn and websockets would keep them for as long as the connection lasts.
        """
        self.request.headers.clear()
        self.response.headers.clear()
        self.scope["headers"] = []

    def disconnect(self, why: Disconnect, within: float | None = None) -> None:
        """Send a close frame and notify the ASGI app; idempotent.

        The socket is aborted if the viewer has not answered after ``within`` seconds (by default
        `CLOSE_SECONDS`), whether or not the frame could be sent.
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
        if self._parsing is None:  # later: the parser itself may have called this
            self._parsing = self.loop.call_soon(self._parse)
        self._abort_later(within)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self._leave()
        self._unparsed.clear()
        if self._parsing is not None:
            self._parsing.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops. A handshake under way is answered 503 (by uvicorn alone, 500)."""
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
        """The viewer sent a close frame."""
        self._leave()
        super().handle_close(event)
        self._abort_later()

    def handle_parser_exception(self) -> None:
        """The viewer violated the protocol."""
        self._leave()
        super().handle_parser_exception()
        self._abort_later()

    def keepalive_timeout(self) -> None:
        """The viewer did not answer a ping."""
        self._leave()
        super().keepalive_timeout()
        self._abort_later()

    def eof_received(self) -> None:
        """The viewer ended its side, so it cannot answer a close frame any more."""
        self._leave()
        self._abort_later()

    def send_receive_event_to_app(self) -> None:
        """Pass on a message. Text that is not UTF-8 ends the connection, without a traceback."""
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
        """Answer a ping, unless the viewer does not read the answers."""
        if self.close_sent:
            self.conn.data_to_send()  # drops the pong: nothing may follow a close frame
            return
        super().handle_ping()
        if self.transport.get_write_buffer_size() > PONG_BYTES:
            self.disconnect(Disconnect.SLOW)

    def _refuse_handshake(self) -> None:
        """Answer 400 and close the connection."""
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        self.transport.write(_NO_HANDSHAKE)
        self.transport.close()

    def _abort_later(self, seconds: float | None = None) -> None:
        """Abort the connection later. Closing it waits until the peer has read everything."""
        if self.close_timer is None and not self.disconnected:
            seconds = CLOSE_SECONDS if seconds is None else seconds
            self.close_timer = self.loop.call_later(seconds, self.transport.abort)

    def _leave(self) -> None:
        self._on_leave()
        self._on_leave = _ignored
