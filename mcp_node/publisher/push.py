"""The ZeroMQ bridge: one PUSH socket, sent to from the event loop without ever blocking.

Bounded twice: libzmq holds ``BRIDGE_HWM`` messages for a connected peer, and what it does not
take waits in a backlog bounded in bytes. Without a peer nothing is kept.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Final

import zmq
from zmq.utils.monitor import parse_monitor_message

from mcp_node.publisher.interface import Backlog
from proto import wire
from proto.messages import Message
from proto.settings import Settings
from proto.wire import Event, message_event
from serving.curve import Credentials

_LINGER_MS: Final = 300
_RECONNECT_MS: Final = 50
_RECONNECT_MAX_MS: Final = 500


class PushPublisher:
    """Publishes over ZeroMQ. Not safe for use outside the event loop's thread.

    Raises:
        ConfigurationError: the endpoint is tcp, and a key file is not usable, or it is one that
            can only be bound.
    """

    def __init__(self, settings: Settings, *, endpoint: str, epoch: str) -> None:
        self.published = 0
        self.dropped = 0
        self._endpoint = endpoint
        self._epoch = epoch
        self._hwm = settings.bridge_hwm
        self._max_bytes = settings.max_bridge_bytes
        self._backlog = Backlog(settings.bridge_backlog_bytes)
        self._peers = 0
        over_tcp = endpoint.startswith("tcp://")
        self._credentials = Credentials(settings.data_dir, endpoint) if over_tcp else None

    @property
    def connected(self) -> bool:
        """Whether a ws_node is connected."""
        return self._peers > 0

    @property
    def waiting(self) -> int:
        """Messages in the backlog."""
        return len(self._backlog)

    async def start(self) -> None:
        """Connect; ZeroMQ goes on trying by itself while nobody is there."""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.set(zmq.IMMEDIATE, 1)
        self._socket.set(zmq.SNDHWM, self._hwm)
        self._socket.set(zmq.LINGER, _LINGER_MS)
        self._socket.set(zmq.RECONNECT_IVL, _RECONNECT_MS)
        self._socket.set(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
        if self._credentials:
            self._credentials.put_on(self._socket)
        self._monitor = self._socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )
        loop = asyncio.get_running_loop()
        loop.add_reader(self._monitor.fileno(), self._on_monitor)
        loop.add_reader(self._socket.fileno(), self._flush)
        self._socket.connect(self._endpoint)
        self._on_monitor()

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages in their order; drop and count what the bridge cannot take."""
        self._on_monitor()
        if not self._peers:
            self.dropped += len(messages)
            return
        now = time.monotonic_ns()
        self._flush()
        for message in messages:
            event = message_event(message, self._epoch, now)
            if len(event.body) > self._max_bytes or not self._take(event):
                self.dropped += 1

    async def close(self) -> None:
        """Close at once; ZeroMQ lingers 0.3 s at most for what it holds."""
        self.dropped += self._backlog.clear()
        loop = asyncio.get_running_loop()
        for watched in (self._socket, self._monitor):
            loop.remove_reader(watched.fileno())
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
        await asyncio.to_thread(self._context.term)

    def _take(self, event: Event) -> bool:
        """Send or hold an event, behind those that wait already."""
        return (not self._backlog and self._send(event)) or self._backlog.push(event)

    def _send(self, event: Event) -> bool:
        try:
            self._socket.send_multipart(wire.encode(event), zmq.NOBLOCK)
        except zmq.Again:
            return False
        self.published += 1
        return True

    def _flush(self) -> None:
        """Send what waits, until it is empty or the socket is full again.

        The descriptor is edge-triggered and reading EVENTS re-arms it: if that says there is room
        again, nothing else will, so what waits must be tried once more.
        """
        while True:
            while self._backlog and self._send(self._backlog.first()):
                self._backlog.pop()
            if not (int(self._socket.get(zmq.EVENTS)) & zmq.POLLOUT and self._backlog):
                return

    def _on_monitor(self) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                seen = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
                if seen["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                    self._peers += 1
                elif self._peers:
                    self._peers -= 1
                    self.dropped += self._backlog.clear()
