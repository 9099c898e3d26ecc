"""The collector: receives bridge messages on the PULL socket and puts them into the queue.

Messages that are malformed, refused or do not fit are counted and dropped. No message can stop it.
"""

import asyncio
from typing import Final

import zmq

from proto import wire
from proto.errors import ConfigurationError, WireError
from proto.settings import Settings
from ws_node.intake.pull_socket import bind, drain
from ws_node.intake.zap import Gate
from ws_node.rooms.event_queue import EventQueue

BATCH: Final = 1_000
"""Messages received before other work gets a turn."""


class Collector:
    """The PULL side of the bridge.

    Attributes:
        received: well-formed messages.
        overflowed: well-formed messages dropped because the queue was full.
        malformed: counts of what was dropped, by `proto.errors.WireError` reason.

    Raises:
        ConfigurationError: the endpoint is tcp, and a key file is not usable.
    """

    def __init__(self, settings: Settings, *, endpoint: str, queue: EventQueue) -> None:
        self.received = 0
        self.overflowed = 0
        self.malformed: dict[str, int] = {}
        self._endpoint = endpoint
        self._queue = queue
        self._hwm = settings.bridge_hwm
        self._max_bytes = settings.max_bridge_bytes
        self._gate = Gate(settings.data_dir) if endpoint.startswith("tcp://") else None

    @property
    def refused(self) -> int:
        """Peers and messages that were refused (over tcp)."""
        return self._gate.refused if self._gate else 0

    def start(self) -> None:
        """Bind and listen. The caller holds the lock file: a second bind would take over the path.

        Raises:
            ConfigurationError: the endpoint cannot be bound.
        """
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.set(zmq.RCVHWM, self._hwm)
        self._socket.set(zmq.MAXMSGSIZE, self._max_bytes)
        self._socket.set(zmq.LINGER, 0)
        if self._gate:
            self._gate.guard(self._context, self._socket, self._endpoint)
        try:
            bind(self._socket, self._endpoint)
        except ConfigurationError:
            self._close_gate()
            self._context.destroy(linger=0)
            raise
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._collect)
        self._loop.call_soon(self._collect)

    def close(self) -> None:
        """Stop listening. Messages not yet received are read from the log later."""
        self._loop.remove_reader(self._socket.fileno())
        self._close_gate()
        self._context.destroy(linger=0)

    def subscribe(self, session_id: str) -> None:
        """Nothing to do, here and below: the bridge carries every session."""

    def unsubscribe(self, session_id: str) -> None:
        """See `subscribe`."""

    async def subscribed(self, session_id: str) -> None:
        """See `subscribe`."""

    def _close_gate(self) -> None:
        if self._gate:
            self._gate.close()

    def _collect(self) -> None:
        drain(self._socket, self._receive, again=self._collect, batch=BATCH)

    def _receive_frames(self) -> list[bytes]:
        """The next message; no frames if its sender is refused. Raises zmq.Again without one."""
        if self._gate is None:
            return self._socket.recv_multipart(zmq.NOBLOCK)
        return self._gate.admitted(self._socket.recv_multipart(zmq.NOBLOCK, copy=False))

    def _receive(self) -> None:
        frames = self._receive_frames()
        if not frames:
            return
        try:
            event = wire.decode(frames, max_body=self._max_bytes)
        except WireError as error:
            self.malformed[error.reason] = self.malformed.get(error.reason, 0) + 1
            return
        self.received += 1
        if not self._queue.put(event):
            self.overflowed += 1
