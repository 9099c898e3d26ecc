"""The bridge over NATS: every message published once, to whichever ws_nodes show its session.

Other mcp_nodes are told that something was committed; they read it from the log.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

from proto import wire
from proto.messages import Message
from proto.settings import Settings
from proto.subjects import Subjects
from proto.wire import message_event
from serving.bus.bus import Bus


class BusPublisher:
    """Publishes over NATS. Not safe for use outside the event loop's thread.

    Args:
        settings: of the node.
        epoch: of the log.
        on_others_commit: called when another mcp_node tells that it has committed messages.

    Raises:
        ConfigurationError: as `Bus`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        epoch: str,
        on_others_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._bus = Bus(settings, "mcp_node", on_subscribed=on_others_commit)
        self._subjects = Subjects(settings.nats_deployment)
        self._bus.subscribe(self._subjects.commits, lambda subject, payload: on_others_commit())
        self._epoch = epoch
        self._task: asyncio.Task[None] | None = None

    @property
    def published(self) -> int:
        """Messages handed to the connection."""
        return self._bus.published

    @property
    def dropped(self) -> int:
        """Messages that were not, or that nats-server refused."""
        return self._bus.dropped

    @property
    def connected(self) -> bool:
        """Whether nats-server is there."""
        return self._bus.connected

    @property
    def waiting(self) -> int:
        """Messages in the backlog."""
        return self._bus.waiting

    async def start(self) -> None:
        """Connect, and go on trying while nats-server is away."""
        self._task = asyncio.create_task(self._bus.run(), name="bus")

    def publish(self, messages: Sequence[Message]) -> None:
        """Send messages in their order; drop and count what the bus cannot take."""
        now = time.monotonic_ns()
        for message in messages:
            payload = wire.pack(message_event(message, self._epoch, now))
            self._bus.publish(self._subjects.message(message.session_id), payload)
        self._bus.publish(self._subjects.commits, b"")

    async def close(self) -> None:
        """Give what waits 0.3 s to leave, then close."""
        await self._bus.drain()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
