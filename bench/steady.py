"""Messages at a steady rate from a process of their own, to viewers that are read here.

Open loop: a message is due when it is due, whatever has become of the one before. Its time runs
from handing it to the server's socket to each viewer's ``recv``; every delivery counts.
"""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from bench.child import Child
from bench.peers.interface import Server, cpu_seconds
from bench.viewer_group import Viewers

GRACE_SECONDS = 1.0
"""What has not come this long after the last message was due came too late."""


@dataclass
class SteadyLoad:
    """A server, its viewers and its publisher.

    Attributes:
        sent: when each message was sent.
        due: how many messages were to be sent.
        used: CPU seconds of the server while they were.
    """

    server: Server
    viewers: Viewers
    pusher: Child
    sent: list[int] = field(default_factory=list)
    due: int = 0
    used: float = 0.0

    async def run(self, count: int, rate: float) -> bool:
        """Send so many; whether all came in time. If not, it cannot be run again."""
        used = cpu_seconds(self.server)
        self.due += count
        self.pusher.tell(count, rate)
        await asyncio.to_thread(self._collect, count / rate + GRACE_SECONDS)
        self.used += cpu_seconds(self.server) - used
        if self.viewers.slowest < self.due:
            return False
        self.sent += await self.pusher.found()
        return True

    @property
    def share(self) -> float:
        """Per cent of all deliveries that came in time."""
        return self.viewers.deliveries / (self.due * self.viewers.count) * 100

    @property
    def cost(self) -> float:
        """CPU microseconds for each delivery."""
        return self.used / self.viewers.deliveries * 1e6

    async def latencies(self, skip: int) -> Counter[int]:
        """As `Viewers.latencies`."""
        return await asyncio.to_thread(self.viewers.latencies, self.sent, skip)

    def _collect(self, within: float) -> None:
        end = time.monotonic() + within
        while self.viewers.slowest < self.due and time.monotonic() < end:
            for _ in range(20):
                self.viewers.read(0.005)


async def steady_load(stack: AsyncExitStack, server: Server, count: int) -> SteadyLoad:
    """A server's viewers and publisher, for the length of the stack."""
    viewers = await asyncio.to_thread(server.connect, count)
    stack.callback(viewers.close)
    pusher = await stack.enter_async_context(Child("bench.publishing", *server.publishing))
    return SteadyLoad(server, viewers, pusher)
