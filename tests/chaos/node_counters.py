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
    """The counters of the nodes, as far as they could be read before a node died.

    Attributes:
        most_bytes: the largest resident size seen, by module, with its child processes.
        looks, all: how often the nodes were asked, and how often all of them answered.
    """

    def __init__(self, *nodes: Node) -> None:
        self.most_bytes: dict[str, int] = {node.module: 0 for node in nodes}
        self.looks = self.all = 0
        self._nodes = nodes
        self._former: Counter[str] = Counter()
        self._current: dict[Node, dict[str, float]] = {node: {} for node in nodes}
        self._client = plain_client(timeout=TIMEOUT_SECONDS)

    async def read_for_ever(self) -> None:
        """Read the nodes again and again."""
        while True:
            answered = [await self.read(node) for node in self._nodes]
            self.looks += 1
            self.all += all(answered)
            await asyncio.sleep(READ_SECONDS)

    async def read(self, node: Node) -> bool:
        """Read a node's counters; whether it answered."""
        life = self._current[node]
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
        self._former.update(self._current[node])
        self._current[node] = {}

    def total(self, node: Node, name: str) -> int:
        """A counter over all lives of all nodes of a kind; at least so much really happened."""
        key = f"{node.module}.{name}"
        now = sum(life.get(key, 0) for life in self._current.values())
        return int(self._former[key] + now)

    def largest(self) -> str:
        """The largest size of each kind, for people."""
        return ", ".join(f"{size / 1_048_576:.0f} MiB" for size in self.most_bytes.values())

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
