"""The ZeroMQ bridge: every message encoded once, and pushed to each of ws_node's processes.

One PUSH connected to two PULLs would split the stream between them, so each worker has a link of
its own. A worker that is away or slow holds up nobody: what it misses it reads from the log.
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
        self._links = [PushSocket(settings, endpoint) for endpoint in endpoints]
        self._epoch = epoch
        self._max_bytes = settings.max_bridge_bytes

    @property
    def published(self) -> int:
        """Messages handed to the bridge, for all workers together."""
        return sum(link.published for link in self._links)

    @property
    def dropped(self) -> int:
        """Messages that were not, for all workers together."""
        return sum(link.dropped for link in self._links)

    @property
    def connected(self) -> bool:
        """Whether every worker of ws_node is connected."""
        return all(link.connected for link in self._links)

    @property
    def waiting(self) -> int:
        """Messages in the backlogs."""
        return sum(link.waiting for link in self._links)

    async def start(self) -> None:
        """Connect; ZeroMQ goes on trying by itself while nobody is there."""
        self._context = zmq.Context()
        for link in self._links:
            link.start(self._context)

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages in their order; drop and count what the bridge cannot take."""
        links = []
        for link in self._links:
            if link.ready():
                links.append(link)
            else:
                link.dropped += len(messages)
        if not links:
            return
        now = time.monotonic_ns()
        for message in messages:
            frames = wire.encode(message_event(message, self._epoch, now))
            fits = len(frames[-1]) <= self._max_bytes
            for link in links:
                if fits:
                    link.take(frames)
                else:
                    link.dropped += 1

    async def close(self) -> None:
        """Close at once; ZeroMQ lingers 0.3 s at most for what it holds."""
        for link in self._links:
            link.close()
        await asyncio.to_thread(self._context.term)
