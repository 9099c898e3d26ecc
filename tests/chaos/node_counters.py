"""Figures of the nodes over all their lives: read from /metrics, added up when one is killed."""

import asyncio
import contextlib
from collections import Counter

import psutil  # type: ignore[import-untyped]

from tests.clients import UNANSWERED, plain_client
from tests.node_process import Node

READ_SECONDS = 0.5
TIMEOUT_SECONDS = 0.3


class NodeCounters:
    """The counters of both nodes, as far as they could be read before a node died.

    Attributes:
        most_bytes: the largest resident size seen, by module, with its child processes.
        looks, both: how often both nodes were asked, and how often both answered.
    """

    def __init__(self, *nodes: Node) -> None:
        self.most_bytes: dict[str, int] = {node.module: 0 for node in nodes}
        self.looks = self.both = 0
        self._nodes = nodes
        self._former: Counter[str] = Counter()
        self._current: dict[str, dict[str, float]] = {node.module: {} for node in nodes}
        self._client = plain_client(timeout=TIMEOUT_SECONDS)

    async def read_for_ever(self) -> None:
        """Read both nodes again and again."""
        while True:
            answered = [await self.read(node) for node in self._nodes]
            self.looks += 1
            self.both += all(answered)
            await asyncio.sleep(READ_SECONDS)

    async def read(self, node: Node) -> bool:
        """Read a node's counters; whether it answered."""
        life = self._current[node.module]
        try:
            answer = await self._client.get(f"{node.url}/metrics")
        except UNANSWERED:
            return False
        for line in answer.text.splitlines():
            name, _, value = line.rpartition(" ")
            if name.endswith("_total") and not line.startswith("#"):
                life[f"{node.module}.{name.removeprefix('partyline_')}"] = float(value)
        if node.process is not None:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(node.process.pid)
                family = [process, *process.children(recursive=True)]
                size = sum(one.memory_info().rss for one in family)
                self.most_bytes[node.module] = max(self.most_bytes[node.module], size)
        return True

    def new_life(self, node: Node) -> None:
        """The node starts anew: keep what it had counted."""
        self._former.update(self._current[node.module])
        self._current[node.module] = {}

    def total(self, node: Node, name: str) -> int:
        """A counter over all lives of a node; at least so much really happened."""
        key = f"{node.module}.{name}"
        return int(self._former[key] + self._current[node.module].get(key, 0))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
