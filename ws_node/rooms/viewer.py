"""A viewer: one connected client."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from proto.messages import Principal
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.framing import Framing, framed


class Outlet(Protocol):
    """Where a viewer's bytes are written; writing never waits."""

    def write(self, data: bytes) -> None:
        """Queue bytes to be sent."""

    def get_write_buffer_size(self) -> int:
        """Bytes not sent yet."""


class Connection(Protocol):
    """A viewer's WebSocket or event stream.

    Attributes:
        framing: how it carries JSON texts.
        writable: set while little is unsent, and permanently once the connection has ended.
    """

    framing: Framing
    writable: asyncio.Event

    @property
    def outlet(self) -> Outlet:
        """Where to write."""

    def call_on_leave(self, callback: Callable[[], None]) -> None:
        """Have a callback called once, before the connection ends for whatever reason."""

    def disconnect(self, why: Disconnect) -> None:
        """End it, telling the client why; idempotent."""


class Viewer:
    """A connected client.

    Attributes:
        connection: what carries its bytes.
        principal: who it is.
        gone: whether its connection has ended.
    """

    __slots__ = ("connection", "gone", "principal")

    def __init__(self, connection: Connection, principal: Principal) -> None:
        self.connection = connection
        self.principal = principal
        self.gone = False

    def send(self, payload: bytes) -> None:
        """Send one JSON text to this viewer alone, outside the fan-out."""
        if not self.gone:
            self.connection.outlet.write(framed(self.connection.framing, payload))

    async def drained(self) -> None:
        """Wait until little is unsent; returns at once when the connection has ended."""
        await self.connection.writable.wait()
