"""One PUSH socket to one worker of ws_node, used from the event loop without ever blocking.

Memory is bounded twice: libzmq holds at most ``BRIDGE_HWM`` messages for a connected peer, and
messages it does not accept wait in a backlog bounded in bytes. Without a peer nothing is kept.
"""

import asyncio
from typing import Any, Final

import zmq
from zmq.utils.monitor import parse_monitor_message

from mcp_node.bridge.interface import Backlog
from proto.settings import Settings
from serving.curve.keys import Credentials

_LINGER_MS: Final = 300
_RECONNECT_MS: Final = 50
_RECONNECT_MAX_MS: Final = 500


class PushSocket:
    """A PUSH socket. Use it only in the event loop's thread.

    Attributes:
        published: messages handed to ZeroMQ.
        dropped: messages dropped because the worker is away or too slow.

    Raises:
        ConfigurationError: the endpoint is tcp, and a key file cannot be used or the address can
            only be bound, not connected to.
    """

    def __init__(self, settings: Settings, endpoint: str) -> None:
        self.published = 0
        self.dropped = 0
        self._endpoint = endpoint
        self._hwm = settings.bridge_hwm
        self._backlog: Backlog[list[bytes]] = Backlog(settings.bridge_backlog_bytes)
        self._peers = 0
        over_tcp = endpoint.startswith("tcp://")
        self._credentials = Credentials(settings.data_dir, endpoint) if over_tcp else None

    @property
    def connected(self) -> bool:
        """Whether the worker is connected."""
        return self._peers > 0

    @property
    def waiting(self) -> int:
        """Messages in the backlog."""
        return len(self._backlog)

    def start(self, context: zmq.Context[Any]) -> None:
        """Connect. ZeroMQ retries by itself while the worker is away."""
        self._socket = context.socket(zmq.PUSH)
        # Queue only for a completed connection. Messages queued for a worker that is away would be
        # stale when it is back, because it reads what it missed from the log.
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
        loop.add_reader(self._monitor.fileno(), self._read_monitor)
        loop.add_reader(self._socket.fileno(), self.flush)
        self._socket.connect(self._endpoint)
        self._read_monitor()

    def ready(self) -> bool:
        """Whether a worker is connected. Also processes monitor events and flushes the backlog."""
        self._read_monitor()
        if self._backlog:
            self.flush()
        return self._peers > 0

    def send(self, frames: list[bytes]) -> None:
        """Send a message; queue it if that is not possible now; drop it if the backlog is full."""
        if not self._backlog and self._try_send(frames):
            return
        if not self._backlog.push(frames, len(frames[-1])):
            self.dropped += 1

    def flush(self) -> None:
        """Send messages from the backlog until it is empty or the socket accepts no more."""
        # The socket's descriptor is edge-triggered, and reading EVENTS re-arms it. If EVENTS
        # reports room, no other notification will come for it, so try again.
        while True:
            while self._backlog and self._try_send(self._backlog.first()):
                self._backlog.pop()
            if not (int(self._socket.get(zmq.EVENTS)) & zmq.POLLOUT and self._backlog):
                return

    def close(self) -> None:
        """Close. ZeroMQ gets at most 0.3 s to send the messages it holds."""
        self.dropped += self._backlog.clear()
        loop = asyncio.get_running_loop()
        for watched in (self._socket, self._monitor):
            loop.remove_reader(watched.fileno())
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()

    def _try_send(self, frames: list[bytes]) -> bool:
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        self.published += 1
        return True

    def _read_monitor(self) -> None:
        while int(self._monitor.get(zmq.EVENTS)) & zmq.POLLIN:
            seen = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
            if seen["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._peers += 1
            elif self._peers:
                # The worker reads what it missed from the log when it is back.
                self._peers -= 1
                self.dropped += self._backlog.clear()
