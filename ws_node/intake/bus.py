"""Messages and external events over NATS: of every session that has a room here, and no others.

A session is subscribed when its room opens and unsubscribed when the room is dropped. The room asks
for its position only once nats-server has the subscription (`BusCollector.subscribed`), so that no
message falls between the two. What is missed while nats-server is away is read from the log: after
each new connection the heads are compared at once.
"""

from typing import Final

from proto import strictjson
from proto.errors import InvalidInput, PartylineError, WireError
from proto.names import is_name
from proto.settings import Settings
from proto.subjects import EXTERNAL, MESSAGE, Subjects
from proto.wire import Event, unpack
from serving.bus.bus import Bus
from ws_node.intake.broadcast import MAX_VALUES
from ws_node.intake.external import external_event
from ws_node.rooms.event_queue import EventQueue

_FRAME_VALUES: Final = 8
"""Values that an event's frame has beside those of what was posted."""


class BusCollector:
    """The receiving side of the bus.

    Attributes:
        received: well-formed messages and events.
        overflowed: of those, what was dropped because the queue was full.
        malformed: counts of what was dropped, by `proto.errors.WireError` reason; ``external`` for
            an external event that /broadcast would not take.
    """

    def __init__(self, settings: Settings, *, bus: Bus, queue: EventQueue) -> None:
        self.received = 0
        self.overflowed = 0
        self.malformed: dict[str, int] = {}
        self._bus = bus
        self._queue = queue
        self._max_bytes = settings.max_bridge_bytes
        self._subjects = Subjects(settings.nats_deployment)

    @property
    def refused(self) -> int:
        """What nats-server did not allow this node."""
        return self._bus.refused

    def start(self) -> None:
        """Nothing to do: `Bus.run` receives."""

    def close(self) -> None:
        """Nothing to do: cancelling `Bus.run` ends it."""

    def subscribe(self, session_id: str) -> None:
        """Receive a session; the bus need not be there yet."""
        self._bus.subscribe(self._subjects.session(session_id), self._receive)

    def unsubscribe(self, session_id: str) -> None:
        """Receive a session no longer."""
        self._bus.unsubscribe(self._subjects.session(session_id))

    async def subscribed(self, session_id: str) -> None:
        """Wait until nats-server has the session's subscription, as `Bus.subscribed`."""
        await self._bus.subscribed(self._subjects.session(session_id))

    def _receive(self, subject: bytes, payload: bytes) -> None:
        kind, session_id = self._subjects.parse(subject)
        try:
            if kind == MESSAGE:
                event = unpack(session_id, payload, max_body=self._max_bytes)
                if event.id is None:
                    raise WireError("header")
            elif kind == EXTERNAL:
                event = self._external(session_id, payload)
            else:
                raise WireError("frames")
        except WireError as error:
            self.malformed[error.reason] = self.malformed.get(error.reason, 0) + 1
            return
        self.received += 1
        if not self._queue.put(event):
            self.overflowed += 1

    def _external(self, raw_session: bytes, payload: bytes) -> Event:
        """The event, checked and built anew: other ws_nodes can do what /broadcast allows, no more.

        Raises:
            WireError: /broadcast would not take it.
        """
        try:
            session_id = raw_session.decode("ascii")
            body = strictjson.loads(
                payload, max_bytes=self._max_bytes, max_values=MAX_VALUES + _FRAME_VALUES
            )
            if not is_name(session_id) or not isinstance(body, dict):
                raise InvalidInput("This is no event.")
            return external_event(session_id, body)
        except (PartylineError, UnicodeDecodeError):
            raise WireError("external") from None
