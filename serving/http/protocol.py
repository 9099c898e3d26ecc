"""uvicorn's HTTP protocol with deadlines: a peer must say what it wants, and take its answer.

====================  =====================================================================
what is awaited       how long
====================  =====================================================================
the head of a request ``head_seconds`` from the connection, or from its first byte
its body              ``body_seconds`` from the head, and a second for each ``body_rate`` bytes
                      that came (408 after that)
an answer's reader    as `Unread` has it
====================  =====================================================================

Connections that are to send something are counted together, before anybody looks at a token:
beyond ``max_silent`` the one that is awaited longest is cut. uvicorn itself waits for ever in each
of these cases, and takes heads of any size.

The transport is lent to the app, so that it can cut a response as well. This reaches into the
pinned uvicorn release: a test holds what is used.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serving.http.unread import Unread, due

TRANSPORT: Final = "partyline.transport"
"""Key of the transport in ``scope["extensions"]`` of an HTTP request."""

MAX_HEAD_BYTES: Final = 65_536
"""Bytes a peer may send without anything coming of them: a head, trailers, a chunk's extensions.

Noticed after each read from the socket, so what is held is at most one read (256 KiB) more.
"""

MAX_PIPELINED: Final = 32
"""Requests of one connection that may wait for their answers; at one more it is cut.

One read from the socket holds thousands of small ones, and each costs time and memory at once.
"""

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)
_TOO_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class _TooMany(Exception):
    """Too many requests wait for their answers."""


class LimitedHttp(HttpToolsProtocol):
    """One HTTP connection."""

    head_seconds: ClassVar[float] = 10.0
    body_seconds: ClassVar[float] = 10.0
    body_rate: ClassVar[float] = 16_384.0
    max_silent: ClassVar[int] = 2_000

    awaited: ClassVar[dict["LimitedHttp", None]] = {}
    """Connections of this process that are to send something, the longest awaited first."""

    unread: ClassVar[Unread] = Unread(seconds=30.0, rate=16_384.0, most_bytes=128 * 1_048_576)
    """Connections of this process that are to read something."""

    _deadline: asyncio.TimerHandle | None = None
    _body_began = 0.0
    _body_bytes = 0
    _cycles: Sequence[RequestResponseCycle] = ()
    _fruitless = 0
    """Bytes since the last that were of use."""
    _headed = False
    """Whether the request under way has its whole head; what looks like headers later is not."""
    _whole = False
    """Whether it has its whole body as well."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection: it has ``head_seconds`` to say what it wants."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # paused means unsent, resumed means sent
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Parse; cut who sends on and on without saying anything, or drop by drop."""
        self._fruitless += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self._fruitless > MAX_HEAD_BYTES:
            self._hang_up(b"" if self._headed else _TOO_LARGE)
        elif self._headed and not self._whole:
            self._await_body()
        elif not self._unanswered:
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        if self._unanswered:
            self._hang_up(b"")
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """A request begins.

        Raises:
            _TooMany: it is one too many; the parser ends at that, and with it the connection.
        """
        self._headed = self._whole = False
        if len(self._cycles) >= MAX_PIPELINED and len(self._unanswered) >= MAX_PIPELINED:
            raise _TooMany
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers, which nothing here reads, would join those checked already.

        Blanks around a value are no part of it (RFC 9112, 5.1); the parser leaves those behind it.
        """
        if not self._headed:
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """It has said what it wants."""
        self._heard()
        self._headed = True
        self._fruitless = 0
        super().on_headers_complete()
        if self.cycle is not None:  # not with a WebSocket
            self._cycles = [*self._unanswered, self.cycle]
        scope: Any = self.scope
        scope.setdefault("extensions", {})[TRANSPORT] = self.transport

    def on_body(self, body: bytes) -> None:
        """More of the body."""
        self._fruitless = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._heard()
        self._whole = True
        self._fruitless = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Some of the answer could not be sent: its reader is behind."""
        super().pause_writing()
        self.unread.watch(self.transport)

    def resume_writing(self) -> None:
        """Everything was sent."""
        super().resume_writing()
        self.unread.forget(self.transport)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, with what was changed on the transport changed back."""
        self.unread.forget(self.transport)
        self.transport.set_write_buffer_limits()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._heard()
        super().connection_lost(exc)
        self.unread.forget(self.transport)

    def _unsupported_upgrade_warning(self) -> None:
        """Whoever asks for another protocol gets HTTP; it is nothing for the operator to mend."""

    @property
    def _unanswered(self) -> list[RequestResponseCycle]:
        """The request that is being answered, and those pipelined behind it."""
        return [cycle for cycle in self._cycles if not cycle.response_complete]

    def _hang_up(self, last: bytes) -> None:
        """End the connection, with a last answer unless one is under way."""
        if self._unanswered:
            self._tell_app()
            self.transport.abort()
        else:
            self.transport.write(last)
            self.transport.close()

    def _tell_app(self) -> None:
        """What it still answers has nowhere to go; writing on would raise with uvloop."""
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()

    def _await_head(self) -> None:
        """Cut the connection unless it sends a head in time."""
        if self._deadline is None:
            self._await(self.head_seconds, self._cut)

    def _await_body(self) -> None:
        """Cut the connection unless the body keeps coming."""
        if self._deadline is None:
            self._body_began, self._body_bytes = self.loop.time(), 0
            self._await(self.body_seconds, self._check_body)

    def _await(self, seconds: float, then: Callable[[], None]) -> None:
        self._deadline = self.loop.call_later(seconds, then)
        self.awaited[self] = None
        if len(self.awaited) > self.max_silent:
            next(iter(self.awaited))._cut()

    def _check_body(self) -> None:
        """Time is up, unless the body earned more, or it is our app that does not read on."""
        now = self.loop.time()
        if self.flow.read_paused:
            self._body_began = now
        moment = due(self._body_began, self.body_seconds, self._body_bytes, self.body_rate)
        if moment > now:
            self._deadline = self.loop.call_at(moment, self._check_body)
            return
        unanswered = self._unanswered
        if len(unanswered) == 1 and not unanswered[0].response_started:
            self._heard()
            self._tell_app()
            self.transport.write(_TOO_LATE)
            self.transport.close()
        else:
            self._cut()

    def _cut(self) -> None:
        self._heard()
        self._hang_up(b"")

    def _heard(self) -> None:
        """Nothing is awaited any more."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self.awaited.pop(self, None)
