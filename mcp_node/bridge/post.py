"""The HTTP bridge: posts every message to ws_node's /broadcast, in order, from a background task.

For environments where ZeroMQ cannot be used. One request runs at a time, which keeps the order,
with a timeout of 2 s. Messages that do not fit into the backlog, or that ws_node does not accept,
are dropped and counted.

Requests are described in `proto.wire`. They use ws_node's Unix socket, or are signed if ws_node is
on another machine.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Final

import httpx

from mcp_node.bridge.interface import Backlog
from proto import wire
from proto.messages import Message
from proto.settings import Settings
from proto.wire import Event, message_event
from serving.peers.clients import ws_clients

_TIMEOUT_SECONDS: Final = 2.0

logger = logging.getLogger(__name__)


class PostPublisher:
    """Publishes over HTTP. Use it only in the event loop's thread."""

    def __init__(self, settings: Settings, *, epoch: str) -> None:
        self.published = 0
        self.dropped = 0
        self._settings = settings
        self._epoch = epoch
        self._backlog: Backlog[Event] = Backlog(settings.bridge_backlog_bytes)
        self._wake = asyncio.Event()
        self._reached = False
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether ws_node accepted the last post."""
        return self._reached

    @property
    def waiting(self) -> int:
        """Messages in the backlog."""
        return len(self._backlog)

    async def start(self) -> None:
        """Start posting."""
        self._clients = ws_clients(
            self._settings,
            timeout=httpx.Timeout(_TIMEOUT_SECONDS),
            limits=httpx.Limits(max_connections=1, keepalive_expiry=60),
        )
        self._task = asyncio.create_task(self._run(), name="http-bridge")

    def publish(self, messages: Sequence[Message]) -> None:
        """Queue messages in order; drop and count those that do not fit into the backlog."""
        now = time.monotonic_ns()
        for message in messages:
            event = message_event(message, self._epoch, now)
            if not self._backlog.push(event, len(event.body)):
                self.dropped += 1
        self._wake.set()

    async def close(self) -> None:
        """Stop posting. Messages in the backlog are dropped."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.dropped += self._backlog.clear()
        for client in self._clients:
            await client.aclose()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._backlog:
                taken = await self._post(self._backlog.pop())
                self.published += taken
                self.dropped += not taken

    async def _post(self, event: Event) -> bool:
        headers = {
            "Content-Type": "application/json",
            wire.EPOCH_HEADER: event.epoch,
            wire.PREV_HEADER: str(event.prev),
            wire.PRINCIPAL_HEADER: event.principal,
            wire.VISIBILITY_HEADER: str(event.visibility),
            wire.SENDER_TYPE_HEADER: event.sender_type,
        }
        path = f"{wire.BROADCAST_PREFIX}{event.session_id}"
        taken = False
        for client in list(self._clients):
            try:
                answer = await client.post(path, content=event.body, headers=headers)
                taken = answer.status_code == 200
                break
            except httpx.ConnectError:
                # This worker is away. Any other passes the message on to all its siblings.
                self._clients.append(self._clients.pop(0))
            except Exception:  # httpx also raises others when the server dies during a request
                break
        if taken != self._reached:
            self._reached = taken
            logger.info("the HTTP bridge is %s", "up" if taken else "down")
        return taken
