"""uvicorn's HTTP protocol, with less patience: a socket must say what it wants.

A connection that has not sent a whole request head in time is cut, and only so many may be in
that state at once; uvicorn itself waits for ever. The transport is lent to the app, so that a
response nobody reads can be cut too. Reaches into the pinned uvicorn release: a test holds it.
"""

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TRANSPORT: Final = "partyline.transport"
"""Key of the transport in ``scope["extensions"]`` of an HTTP request."""

REQUEST_SECONDS: Final = 10.0
"""How long the head of a connection's first request may take."""

MAX_SILENT: Final = 2_000
"""Connections of this process that have not said yet what they want; more are cut at once."""


class PatientHttp(HttpToolsProtocol):
    """One HTTP connection."""

    silent: ClassVar[int] = 0
    """Connections that have not sent a request head yet."""

    _impatience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection: it has `REQUEST_SECONDS` to say what it wants."""
        super().connection_made(transport)
        PatientHttp.silent += 1
        self._impatience = self.loop.call_later(REQUEST_SECONDS, transport.abort)
        if PatientHttp.silent > MAX_SILENT:
            transport.abort()

    def on_headers_complete(self) -> None:
        """It has said what it wants."""
        self._heard()
        super().on_headers_complete()
        scope: Any = self.scope
        scope.setdefault("extensions", {})[TRANSPORT] = self.transport

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._heard()
        super().connection_lost(exc)

    def _heard(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
            PatientHttp.silent -= 1
