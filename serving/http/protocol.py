"""uvicorn's HTTP protocol with deadlines for requests and for reading responses.

====================  =====================================================================
what                  deadline
====================  =====================================================================
the head of a request ``head_seconds`` after the connection, or after its first byte
its body              ``body_seconds`` after the head, and a second more for each ``body_rate``
                      bytes received; then 408
reading a response    see `Unsent`
====================  =====================================================================

At most ``max_silent`` connections may be silent, that is, owe a head or a body; beyond that, the
one that has been silent longest is closed. This is before any token is checked. uvicorn itself has
none of these limits, and accepts heads of any size.

The app gets the transport in its scope, so that it can abort a response too. This uses internals of
the pinned uvicorn release; a test covers them.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serving.http.unsent import Unsent, due

TRANSPORT: Final = "partyline.transport"
"""Key of the transport in ``scope["extensions"]`` of an HTTP request."""

MAX_HEAD_BYTES: Final = 65_536
"""Bytes that a peer may send without completing a head or a part of a body.

These are heads, trailers and extensions of chunks. They are counted after each read from the
socket, so at most one read (256 KiB) more is held.
"""

MAX_PIPELINED: Final = 32
"""Pipelined requests of one connection without a response; at one more it is closed.

One read from the socket can contain thousands of small requests, and each costs time and memory.
"""

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)
_TOO_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class _TooMany(Exception):
    """A connection has more than `MAX_PIPELINED` requests without a response."""


class LimitedHttp(HttpToolsProtocol):
    """One HTTP connection."""

    head_seconds: ClassVar[float] = 10.0
    body_seconds: ClassVar[float] = 10.0
    body_rate: ClassVar[float] = 16_384.0
    max_silent: ClassVar[int] = 2_000

    silent: ClassVar[dict["LimitedHttp", None]] = {}
    """The silent connections of this process, the longest silent first."""

    unsent: ClassVar[Unsent] = Unsent(seconds=30.0, rate=16_384.0, most_bytes=128 * 1_048_576)
    """Connections of this process with unsent bytes."""

    _deadline: asyncio.TimerHandle | None = None
    _body_began = 0.0
    _body_bytes = 0
    _cycles: Sequence[RequestResponseCycle] = ()
    _useless_bytes = 0
    """Bytes received since the last head or part of a body."""
    _head_complete = False
    """Whether the head of the current request is complete; later headers are trailers."""
    _body_complete = False
    """Whether its body is complete too."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline of the first request's head."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # paused means unsent, resumed means sent
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Parse; close connections whose bytes complete nothing, and set deadlines."""
        self._useless_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self._useless_bytes > MAX_HEAD_BYTES:
            self._close(b"" if self._head_complete else _TOO_LARGE)
        elif self._head_complete and not self._body_complete:
            self._expect_body()
        elif not self._unanswered:
            self._expect_head()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        if self._unanswered:
            self._close(b"")
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """A request begins.

        Raises:
            _TooMany: it is one too many. The parser fails on it, and the connection is closed.
        """
        self._head_complete = self._body_complete = False
        if len(self._cycles) >= MAX_PIPELINED and len(self._unanswered) >= MAX_PIPELINED:
            raise _TooMany
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Trailers are ignored: they would be appended to headers already checked.

        Whitespace around a value is not part of it (RFC 9112, 5.1); the parser leaves what follows.
        """
        if not self._head_complete:
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._cancel_deadline()
        self._head_complete = True
        self._useless_bytes = 0
        super().on_headers_complete()
        if self.cycle is not None:  # None for a WebSocket
            self._cycles = [*self._unanswered, self.cycle]
        scope: Any = self.scope
        scope.setdefault("extensions", {})[TRANSPORT] = self.transport

    def on_body(self, body: bytes) -> None:
        """A part of the body was received."""
        self._useless_bytes = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._cancel_deadline()
        self._body_complete = True
        self._useless_bytes = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Part of a response could not be sent: the peer reads too slowly."""
        super().pause_writing()
        self.unsent.watch(self.transport)

    def resume_writing(self) -> None:
        """Everything was sent."""
        super().resume_writing()
        self.unsent.forget(self.transport)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, after restoring the transport's defaults."""
        self.unsent.forget(self.transport)
        self.transport.set_write_buffer_limits()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._cancel_deadline()
        super().connection_lost(exc)
        self.unsent.forget(self.transport)

    def _unsupported_upgrade_warning(self) -> None:
        """Do not log: a client that asks for another protocol gets HTTP."""

    @property
    def _unanswered(self) -> list[RequestResponseCycle]:
        """The request being answered, and those pipelined behind it."""
        return [cycle for cycle in self._cycles if not cycle.response_complete]

    def _close(self, last: bytes) -> None:
        """Close the connection, after the response ``last`` unless another one is in progress."""
        if self._unanswered:
            self._disconnect_app()
            self.transport.abort()
        else:
            self.transport.write(last)
            self.transport.close()

    def _disconnect_app(self) -> None:
        """Tell the app that the client is disconnected: with uvloop, writing on would raise."""
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()

    def _expect_head(self) -> None:
        """Start the deadline of a head, unless one is running."""
        if self._deadline is None:
            self._start_deadline(self.head_seconds, self._cut)

    def _expect_body(self) -> None:
        """Start the deadline of a body, unless one is running."""
        if self._deadline is None:
            self._body_began, self._body_bytes = self.loop.time(), 0
            self._start_deadline(self.body_seconds, self._check_body)

    def _start_deadline(self, seconds: float, then: Callable[[], None]) -> None:
        self._deadline = self.loop.call_later(seconds, then)
        self.silent[self] = None
        if len(self.silent) > self.max_silent:
            next(iter(self.silent))._cut()

    def _check_body(self) -> None:
        """At the deadline: close, unless bytes extended it or our app has paused reading."""
        now = self.loop.time()
        if self.flow.read_paused:
            self._body_began = now
        moment = due(self._body_began, self.body_seconds, self._body_bytes, self.body_rate)
        if moment > now:
            self._deadline = self.loop.call_at(moment, self._check_body)
            return
        unanswered = self._unanswered
        if len(unanswered) == 1 and not unanswered[0].response_started:
            self._cancel_deadline()
            self._disconnect_app()
            self.transport.write(_TOO_LATE)
            self.transport.close()
        else:
            self._cut()

    def _cut(self) -> None:
        self._cancel_deadline()
        self._close(b"")

    def _cancel_deadline(self) -> None:
        """Cancel the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self.silent.pop(self, None)
