"""A cluster that is broken: two pairs of nodes, PostgreSQL and nats-server, all of which die."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.chaos.agents import Agent
from tests.chaos.deployment import SETTINGS
from tests.chaos.judge import Acknowledged, Logged
from tests.chaos.log_reader import read_postgres
from tests.chaos.node_counters import NodeCounters
from tests.cluster import Cluster
from tests.nats_server import NatsServer
from tests.node_process import Node
from tests.pair import Pair
from tests.postgres import PostgresServer

WATCH_SECONDS: Final = 0.1
LONGEST_STOP: Final = 3.0
"""How long a node stands still, or a server is away, at most."""

REPLACED: Final = "the node stops: PARTYLINE_STORE"
"""In the output of a node that ended because PostgreSQL has another log than it had."""

Rng = Callable[[str], random.Random]


@asynccontextmanager
async def cluster(
    directory: Path, rng: Rng, every: float, standby: str
) -> AsyncIterator["ClusterDeployment"]:
    """A running cluster.

    Args:
        directory: for the pairs and nats-server.
        rng: makes the generator of one part.
        every: mean seconds between two faults.
        standby: of PostgreSQL: ``sync``, ``async`` or none.
    """
    primary = PostgresServer()
    second: PostgresServer | None = None
    try:
        await asyncio.to_thread(primary.start)
        store = primary.address
        if standby:
            second = await asyncio.to_thread(PostgresServer, standby_of=primary)
            await asyncio.to_thread(second.start)
            await asyncio.to_thread(primary.follows, required=standby == "sync")
            store = primary.address_with(second)
        async with (
            NatsServer(directory) as nats,
            Cluster(directory, store=store, nats=nats, **SETTINGS) as nodes,
        ):
            yield ClusterDeployment(nodes.pairs, primary, second, standby, nats, rng, every)
    finally:
        for server in filter(None, (second, primary)):
            await asyncio.to_thread(server.remove)


class ClusterDeployment:
    """`tests.chaos.deployment.Deployment` of a cluster.

    Without a standby every process is killed or stopped at random. With one, PostgreSQL's primary
    is killed once, halfway, and the standby promoted.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        primary: PostgresServer,
        standby: PostgresServer | None,
        kind: str,
        nats: NatsServer,
        rng: Rng,
        every: float,
    ) -> None:
        self.pairs = pairs
        self.crashes: list[str] = []
        # A viewer may reach a ws_node that has not seen the new log yet, and reload for each.
        self.epochs = 4 if kind == "async" else 0
        self._postgres = primary
        self._standby = standby
        self._nats = nats
        self._rng = rng("killer")
        self._every = every
        self._nodes = [node for pair in pairs for node in (pair.mcp, pair.ws)]
        self._frozen: set[Node] = set()
        self._counters = NodeCounters(*self._nodes)
        self._done: Counter[str] = Counter()
        self._replaced = 0
        self._promoted_at = 0.0

    def watchers(self) -> list[Coroutine[Any, Any, None]]:
        """See `Deployment.watchers`."""
        return [self._counters.read_for_ever(), self._watch_for_ever()]

    def faults(self) -> list[Coroutine[Any, Any, None]]:
        """See `Deployment.faults`."""
        if self._standby is not None:
            return [self._promote()]
        return [self._break_for_ever()]

    async def _break_for_ever(self) -> None:
        """One fault after the other, ``every`` seconds on average; some last for seconds."""
        kinds = {
            self._kill_nodes: 5,
            self._stop_a_node: 2,
            self._restart_postgres: 1.5,
            self._restart_nats: 1.5,
        }
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(self._rng.uniform(0.1, 1.9) * self._every)
                [fault] = self._rng.choices([*kinds], weights=[*kinds.values()])
                group.create_task(fault(self._rng.uniform(0, LONGEST_STOP)))

    async def _kill_nodes(self, seconds: float) -> None:
        """Kill a node, or two at once, and start it again."""
        del seconds
        victims = self._rng.sample(self._nodes, self._rng.choice((1, 1, 2)))
        for node in victims:
            if node not in self._frozen:
                self._look()
                node.kill()
                self._done[f"kill -9 of {node.module}"] += 1
                self._start(node)

    async def _stop_a_node(self, seconds: float) -> None:
        """Have a node stand still, with whatever it holds at that moment."""
        node = self._rng.choice(self._nodes)
        if node in self._frozen:
            return
        assert node.process is not None
        process = node.process
        self._frozen.add(node)
        self._done[f"SIGSTOP of {node.module}"] += 1
        try:
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)
            self._frozen.discard(node)

    async def _restart_postgres(self, seconds: float) -> None:
        """Crash PostgreSQL, and start it again."""
        if self._postgres.stopped:
            return
        self._done["kill -9 of PostgreSQL"] += 1
        await asyncio.to_thread(self._postgres.kill)
        try:
            await asyncio.sleep(seconds / 3)
        finally:
            await asyncio.to_thread(self._postgres.start)

    async def _restart_nats(self, seconds: float) -> None:
        """Kill nats-server for a while, or have it stand still: the bus is cut."""
        if not self._nats.running:
            return
        if self._rng.random() < 0.5:
            self._done["SIGSTOP of nats-server"] += 1
            self._nats.pause()
            try:
                await asyncio.sleep(seconds)
            finally:
                self._nats.resume()
            return
        self._done["kill -9 of nats-server"] += 1
        self._nats.kill()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._nats.spawn()

    async def _promote(self) -> None:
        """Kill the primary for good after a while, then promote the standby."""
        assert self._standby is not None
        await asyncio.sleep(self._every)
        await asyncio.to_thread(self._postgres.kill)
        await asyncio.sleep(1.0)  # whatever it acknowledged has been answered
        self._promoted_at = time.monotonic()
        await asyncio.to_thread(self._standby.promote)
        self._done["standby promoted"] += 1
        self._postgres = self._standby

    async def mended(self) -> None:
        """See `Deployment.mended`."""
        for node in self._nodes:
            await node.answers()

    async def lose_everything(self) -> None:
        """See `Deployment.lose_everything`."""
        self._nats.kill()

    async def lose_nothing(self) -> None:
        """See `Deployment.lose_nothing`."""
        await self._nats.start()

    def read_log(self) -> list[Logged]:
        """See `Deployment.read_log`."""
        return read_postgres(self._postgres.address)

    def durable(self, agents: Sequence[Agent]) -> list[Acknowledged]:
        """All; if the standby was asynchronous, those that the promoted server gave."""
        if not self.epochs:
            return [answer for agent in agents for answer in agent.answers]
        late = {
            write.key
            for agent in agents
            for write in agent.writes
            if write.acknowledged > self._promoted_at
        }
        return [answer for agent in agents for answer in agent.answers if answer.key in late]

    def figures(self) -> list[tuple[str, str]]:
        """See `Deployment.figures`."""
        counters, pair = self._counters, self.pairs[0]
        return [
            *((name, str(count)) for name, count in sorted(self._done.items())),
            ("nodes that stopped: another log", str(self._replaced)),
            ("all nodes answered", f"{counters.all / max(1, counters.looks):.0%} of the time"),
            ("bus: dropped", f"{counters.total(pair.mcp, 'bridge_dropped_total'):,}"),
            ("history requests", f"{counters.total(pair.ws, 'history_requests_total'):,}"),
            ("gaps repaired", f"{counters.total(pair.ws, 'repairs_total'):,}"),
            ("largest mcp_node, ws_node", counters.largest()),
        ]

    async def close(self) -> None:
        """See `Deployment.close`."""
        await self._counters.close()

    async def _watch_for_ever(self) -> None:
        """Start again what ended by itself, and write it down."""
        while True:
            self._look()
            await asyncio.sleep(WATCH_SECONDS)

    def _look(self) -> None:
        for node in self._nodes:
            assert node.process is not None
            if node.process.poll() is None:
                continue
            if self.epochs and REPLACED in node.output():
                self._replaced += 1
            else:
                self.crashes.append(f"{node.log.parent.name} {node.output()[-1000:]}")
            self._start(node)

    def _start(self, node: Node) -> None:
        self._counters.new_life(node)
        node.spawn()
