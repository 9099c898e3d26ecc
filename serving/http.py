"""uvicorn's HTTP protocol, with less patience: a socket must say what it wants.

A connection that has begun a request must send its whole head in time, and the rest of a body
that was answered already; only so many may be in that state at once. uvicorn itself waits for
ever, and takes heads of any size. The transport is lent to the app, so that a response nobody
reads can be cut too. Reaches into the pinned uvicorn release: a test holds it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

TRANSPORT: Final = "partyline.transport"
"""Key of the transport in ``scope["extensions"]`` of an HTTP request."""

REQUEST_SECONDS: Final = 10.0
"""How long the head of a request may take, the first one of a connection or a later one."""

MAX_SILENT: Final = 2_000
"""Connections of this process that have not said yet what they want; more are cut at once."""

MAX_HEAD_BYTES: Final = 65_536
"""Bytes a peer may send without anything coming of them: a head, trailers, a chunk's extensions.

Noticed after each read from the socket, so what is held is at most one read (256 KiB) more.
"""

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)


class PatientHttp(HttpToolsProtocol):
    """One HTTP connection."""

    silent: ClassVar[int] = 0
    """Connections that are to send a request head, or the rest of what was answered already."""

    _impatience: asyncio.TimerHandle | None = None
    _cycles: Sequence[RequestResponseCycle] = ()
    _fruitless = 0
    """Bytes since the last that were of use."""
    _headed = False
    """Whether the request under way has its whole head; what looks like headers later is not."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection: it has `REQUEST_SECONDS` to say what it wants."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Parse; cut who sends on and on without saying anything, or drop by drop."""
        self._fruitless += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self._fruitless > MAX_HEAD_BYTES:
            self._hang_up(b"" if self._headed else _TOO_LARGE)
        elif not self._unanswered:
            self._wait()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        if self._unanswered:
            self._hang_up(b"")
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._headed = False
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
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._fruitless = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._heard()
        super().connection_lost(exc)

    def _unsupported_upgrade_warning(self) -> None:
        """Whoever asks for another protocol gets HTTP; it is nothing for the operator to mend."""

    @property
    def _unanswered(self) -> list[RequestResponseCycle]:
        """The request that is being answered, and those pipelined behind it."""
        return [cycle for cycle in self._cycles if not cycle.response_complete]

    def _hang_up(self, last: bytes) -> None:
        """End the connection, with a last answer unless one is under way.

        That one has nowhere to go: the app is told now, as writing on would raise with uvloop.
        """
        if unanswered := self._unanswered:
            for cycle in unanswered:
                cycle.disconnected = True
                cycle.message_event.set()
            self.transport.abort()
        else:
            self.transport.write(last)
            self.transport.close()

    def _wait(self) -> None:
        """Cut the connection unless it sends a head in time, or at once if too many are awaited."""
        if self._impatience is None:
            PatientHttp.silent += 1
            self._impatience = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)
            if PatientHttp.silent > MAX_SILENT:
                self.transport.abort()

    def _heard(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
            PatientHttp.silent -= 1
