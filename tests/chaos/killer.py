"""The killer: kill -9 of either node at random moments, and a new start at once.

Of several workers of ws_node it kills one alone as well, whose parent must start it again.
"""

import asyncio
import random
import time

import psutil  # type: ignore[import-untyped]

from tests.chaos.node_counters import NodeCounters
from tests.node_process import Node
from tests.pair import Pair

WATCH_SECONDS = 0.1
WORKER = "one worker"


class Killer:
    """Kills nodes, starts them again, and notices when one dies by itself.

    Attributes:
        kills: by module, and of workers alone.
        crashes: what a node printed before it ended without being killed.
        moments: when each kill happened, in seconds of the monotonic clock.
    """

    def __init__(
        self, pair: Pair, counters: NodeCounters, rng: random.Random, every: float
    ) -> None:
        self.kills = {pair.mcp.module: 0, pair.ws.module: 0, WORKER: 0}
        self.crashes: list[str] = []
        self.moments: list[float] = []
        self._nodes = (pair.mcp, pair.ws)
        self._counters = counters
        self._rng = rng
        self._every = every

    async def kill_for_ever(self) -> None:
        """Kill one node or both, every ``every`` seconds on average."""
        while True:
            await asyncio.sleep(self._rng.uniform(0.1, 1.9) * self._every)
            if self._kill_a_worker():
                continue
            (victims,) = self._rng.choices(
                [self._nodes[:1], self._nodes[1:], self._nodes], weights=[2, 2, 1]
            )
            for node in victims:
                await self._counters.read(node)
            self.look()
            self.moments.append(time.monotonic())
            for node in victims:
                node.kill()
                self.kills[node.module] += 1
            for node in victims:
                self._start(node)

    def _kill_a_worker(self) -> bool:
        """Every third time, where there are workers: kill one; whether it did."""
        parent = self._nodes[1].process
        assert parent is not None
        try:
            workers = psutil.Process(parent.pid).children()
            if len(workers) < 2 or self._rng.random() > 1 / 3:
                return False
            self._rng.choice(workers).kill()
        except psutil.NoSuchProcess:
            return False
        self.moments.append(time.monotonic())
        self.kills[WORKER] += 1
        return True

    async def watch_for_ever(self) -> None:
        """Start again, and write down, what died by itself."""
        while True:
            self.look()
            await asyncio.sleep(WATCH_SECONDS)

    def look(self) -> None:
        """See whether a node has died by itself."""
        for node in self._nodes:
            assert node.process is not None
            if node.process.poll() is not None:
                self.crashes.append(f"{node.module} ended: {node.output()[-1000:]}")
                self._start(node)

    def _start(self, node: Node) -> None:
        self._counters.new_life(node)
        node.spawn()
