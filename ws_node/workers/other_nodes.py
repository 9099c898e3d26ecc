"""What ws_nodes send each other over the bus: external events, and viewer counts.

Nothing is repeated if it is lost, except the counts, every few seconds. Each process speaks for
itself, so with ``PARTYLINE_BRIDGE=nats`` the workers of one node use the bus as well.
"""

import asyncio
import secrets
from typing import Annotated, Final

import msgspec

from proto.settings import Settings
from proto.subjects import Subjects
from proto.wire import Event
from serving.bus.bus import Bus
from ws_node.presence.viewer_counts import ViewerCounts

SEND_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 10.0
"""The counts of a process that has sent nothing for so long are dropped."""

MAX_OTHERS: Final = 256
"""Most processes whose counts are kept."""

_Count = Annotated[int, msgspec.Meta(ge=0)]

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[str, dict[str, _Count]]).decode


class OtherNodes:
    """The link to the other processes of all ws_nodes.

    Attributes:
        malformed: messages dropped as malformed, or from more than `MAX_OTHERS` processes.

    Args:
        settings: of the node.
        bus: the connection; it may be away.
        watched: the viewer counts of this process and the others.
    """

    def __init__(self, settings: Settings, *, bus: Bus, watched: ViewerCounts) -> None:
        self.malformed = 0
        self._name = secrets.token_hex(8)
        self._bus = bus
        self._watched = watched
        self._subjects = Subjects(settings.nats_deployment)
        self._received_at: dict[str, float] = {}
        bus.subscribe(self._subjects.viewers, self._receive)

    def forward(self, event: Event) -> None:
        """Send an external event to every process that shows its session."""
        self._bus.publish(self._subjects.external(event.session_id), event.body)

    async def run(self) -> None:
        """Send this process's counts, and drop those of processes that are gone, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            counts = self._watched.changes()
            if counts is not None:
                self._bus.publish(self._subjects.viewers, _encode((self._name, counts)))
            for name, at in list(self._received_at.items()):
                if at < loop.time() - SILENT_SECONDS:
                    del self._received_at[name]
                    self._watched.update(name, {})
            await asyncio.sleep(SEND_SECONDS)

    def _receive(self, subject: bytes, payload: bytes) -> None:
        try:
            name, counts = _decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self.malformed += 1
            return
        if name not in self._received_at:
            if len(self._received_at) >= MAX_OTHERS or len(name) > 32:
                self.malformed += 1
                return
            self._watched.mark_changed()  # it does not have our counts yet
        self._received_at[name] = asyncio.get_running_loop().time()
        self._watched.update(name, counts)
