"""What ws_nodes tell each other over the bus: external events, and how many watch each session.

It is at most once: what does not arrive is not repeated, but counts are told anew every few
seconds. Each process speaks for itself, so with ``PARTYLINE_BRIDGE=nats`` the workers of one node
tell each other in the same way.
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

TELL_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 10.0
"""The counts of a process that was not heard of for so long are forgotten."""

MOST_OTHERS: Final = 256
"""Processes whose counts are kept."""

_encode: Final = msgspec.msgpack.Encoder().encode
_Count = Annotated[int, msgspec.Meta(ge=0)]
_decode: Final = msgspec.msgpack.Decoder(tuple[str, dict[str, _Count]]).decode


class OtherNodes:
    """The link to the other processes of all ws_nodes.

    Attributes:
        malformed: messages that were not ours.
    """

    def __init__(self, settings: Settings, *, bus: Bus, watched: ViewerCounts) -> None:
        self.malformed = 0
        self._name = secrets.token_hex(8)
        self._bus = bus
        self._watched = watched
        self._subjects = Subjects(settings.nats_deployment)
        self._heard: dict[str, float] = {}
        bus.subscribe(self._subjects.viewers, self._receive)

    def pass_on(self, event: Event) -> None:
        """Give an external event to every process that shows its session."""
        self._bus.publish(self._subjects.external(event.session_id), event.body)

    async def run(self) -> None:
        """Tell who watches here, and forget who is silent, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            counts = self._watched.news()
            if counts is not None:
                self._bus.publish(self._subjects.viewers, _encode((self._name, counts)))
            for name, at in list(self._heard.items()):
                if at < loop.time() - SILENT_SECONDS:
                    del self._heard[name]
                    self._watched.heard(name, {})
            await asyncio.sleep(TELL_SECONDS)

    def _receive(self, subject: bytes, payload: bytes) -> None:
        try:
            name, counts = _decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self.malformed += 1
            return
        if name not in self._heard:
            if len(self._heard) >= MOST_OTHERS or len(name) > 32:
                self.malformed += 1
                return
            self._watched.came_or_left()  # it does not know our counts yet
        self._heard[name] = asyncio.get_running_loop().time()
        self._watched.heard(name, counts)
