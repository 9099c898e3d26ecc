"""The ZeroMQ bridge: every message encoded once, and pushed to each of ws_node's processes.

One PUSH connected to two PULLs would split the stream between them, so each worker has a socket of
its own. A worker that is away or slow holds up nobody: it reads what it missed from the log.
"""

import asyncio
import time
from collections.abc import Sequence

import zmq

from mcp_node.bridge.push_socket import PushSocket
from proto import wire
from proto.messages import Message
from proto.settings import Settings
from proto.wire import message_event


class PushPublisher:
    """Publishes over ZeroMQ. Not safe for use outside the event loop's thread.

    Args:
        settings: of the node.
        endpoints: one for each worker of ws_node.
        epoch: of the log.

    Raises:
        ConfigurationError: an endpoint is tcp, and a key file is not usable, or it is one that
            can only be bound.
    """

    def __init__(self, settings: Settings, *, endpoints: Sequence[str], epoch: str) -> None:
        self._sockets = [PushSocket(settings, endpoint) for endpoint in endpoints]
        self._epoch = epoch
        self._max_bytes = settings.max_bridge_bytes

    @property
    def published(self) -> int:
        """Messages handed to the bridge, for all workers together."""
        return sum(socket.published for socket in self._sockets)

    @property
    def dropped(self) -> int:
        """Messages dropped, for all workers together."""
        return sum(socket.dropped for socket in self._sockets)

    @property
    def connected(self) -> bool:
        """Whether every worker of ws_node is connected."""
        return all(socket.connected for socket in self._sockets)

    @property
    def waiting(self) -> int:
        """Messages in the backlogs."""
        return sum(socket.waiting for socket in self._sockets)

    async def start(self) -> None:
        """Connect; while nobody listens, ZeroMQ retries by itself."""
        self._context = zmq.Context()
        for socket in self._sockets:
            socket.start(self._context)

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages in their order; drop and count those that the bridge cannot hold."""
        ready = []
        for socket in self._sockets:
            if socket.ready():
                ready.append(socket)
            else:
                socket.dropped += len(messages)
        if not ready:
            return
        now = time.monotonic_ns()
        for message in messages:
            frames = wire.encode(message_event(message, self._epoch, now))
            fits = len(frames[-1]) <= self._max_bytes
            for socket in ready:
                if fits:
                    socket.send(frames)
                else:
                    socket.dropped += 1

    async def close(self) -> None:
        """Close without waiting; ZeroMQ sends its own queue for up to 0.3 s more."""
        for socket in self._sockets:
            socket.close()
        await asyncio.to_thread(self._context.term)
