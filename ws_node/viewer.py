"""A viewer: one connected client, and the sessions it is subscribed to."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from proto.messages import Principal
from ws_node.disconnect import Disconnect
from ws_node.framing import Framing, framed

if TYPE_CHECKING:
    from ws_node.room import Room

NEVER: Final = 1 << 62
"""`Subscription.live_since` while it takes no live frames (it joins, catches up, or has ended)."""


class Outlet(Protocol):
    """Where a viewer's bytes are written, without waiting."""

    def write(self, data: bytes) -> None:
        """Hand over bytes."""

    def get_write_buffer_size(self) -> int:
        """Bytes that have not left yet."""


class Connection(Protocol):
    """What carries a viewer's bytes: a WebSocket, or an event stream.

    Attributes:
        framing: how it carries JSON texts.
        writable: set while little is unsent, and for ever once it is gone.
        on_leave: called once, before it ends for whatever reason.
    """

    framing: Framing
    writable: asyncio.Event
    on_leave: Callable[[], None]

    @property
    def outlet(self) -> Outlet:
        """Where to write."""

    def disconnect(self, why: Disconnect) -> None:
        """End it, telling the client why; idempotent."""


class Viewer:
    """A connected client.

    Attributes:
        connection: what carries its bytes.
        principal: who it is.
        subscriptions: by session id.
        gone: whether it has left for good.
    """

    __slots__ = ("connection", "gone", "principal", "subscriptions")

    def __init__(self, connection: Connection, principal: Principal) -> None:
        self.connection = connection
        self.principal = principal
        self.subscriptions: dict[str, Subscription] = {}
        self.gone = False

    def send(self, payload: bytes) -> None:
        """Send one JSON text of its own, outside the fan-out."""
        if not self.gone:
            self.connection.outlet.write(framed(self.connection.framing, payload))

    async def drained(self) -> None:
        """Wait until what was sent has mostly left; returns at once when it has gone."""
        await self.connection.writable.wait()


class Subscription:
    """A viewer's place in one room.

    Attributes:
        viewer: whose it is.
        room: the room.
        audience: what the viewer may see; those of one audience share their bytes.
        framing, outlet, connection: the viewer's, at hand for the fan-out.
        live_since: the room's last batch that it had when it went live.
        presence: whether the viewer wants to be told who is there.
        ended: whether the viewer left the room or altogether.
        replay: the task that catches up, while one does.
    """

    __slots__ = (
        "audience",
        "connection",
        "ended",
        "framing",
        "live_since",
        "outlet",
        "presence",
        "replay",
        "room",
        "viewer",
    )

    def __init__(self, viewer: Viewer, room: "Room") -> None:
        self.viewer = viewer
        self.room = room
        self.audience = viewer.principal.audience
        self.connection = viewer.connection
        self.framing = viewer.connection.framing
        self.outlet = viewer.connection.outlet
        self.live_since = NEVER
        self.presence = False
        self.ended = False
        self.replay: asyncio.Task[None] | None = None

    def send_framed(self, frames: bytes) -> None:
        """Send frames that are already in its framing."""
        if frames and not self.ended:
            self.outlet.write(frames)

    def stop_replay(self) -> None:
        """Cancel the catching up that may be under way."""
        replay, self.replay = self.replay, None
        if replay is not None:
            replay.cancel()
