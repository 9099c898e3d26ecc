"""The ZeroMQ bridge: encodes every message once and pushes it to each worker of ws_node.

A PUSH socket connected to two PULL sockets splits the stream between them, so each worker has a
PUSH socket of its own. A worker that is away or slow does not delay the others; it reads what it
missed from the log.
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
    """Publishes over ZeroMQ. Use it only in the event loop's thread.

    Args:
        settings: limits, and the data directory with the keys.
        endpoints: one for each worker of ws_node.
        epoch: of the log.

    Raises:
        ConfigurationError: an endpoint is tcp, and a key file cannot be used or the address can
            only be bound, not connected to.
    """

    def __init__(self, settings: Settings, *, endpoints: Sequence[str], epoch: str) -> None:
        self._sockets = [PushSocket(settings, endpoint) for endpoint in endpoints]
        self._epoch = epoch
        self._max_bytes = settings.max_bridge_bytes

    @property
    def published(self) -> int:
        """Messages handed to ZeroMQ, summed over all workers."""
        return sum(socket.published for socket in self._sockets)

    @property
    def dropped(self) -> int:
        """Messages dropped, summed over all workers."""
        return sum(socket.dropped for socket in self._sockets)

    @property
    def connected(self) -> bool:
        """Whether every worker of ws_node is connected."""
        return all(socket.connected for socket in self._sockets)

    @property
    def waiting(self) -> int:
        """Messages in the backlogs, summed over all workers."""
        return sum(socket.waiting for socket in self._sockets)

    async def start(self) -> None:
        """Connect. ZeroMQ retries by itself while a worker is away."""
        self._context = zmq.Context()
        for socket in self._sockets:
            socket.start(self._context)

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages in order; drop and count those that cannot be sent."""
        ready = []
        for socket in self._sockets:
            if socket.ready():
                ready.append(socket)
            else:
                socket.dropped += len(messages)
        if not ready:  # nobody listens: do not spend time on encoding
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
        """Close. ZeroMQ gets at most 0.3 s to send the messages it holds."""
        for socket in self._sockets:
            socket.close()
        await asyncio.to_thread(self._context.term)
