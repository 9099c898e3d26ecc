"""What a run breaks: a deployment, and what goes wrong with it."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol

from tests.chaos.agents import Agent
from tests.chaos.judge import Acknowledged, Logged
from tests.chaos.killer import WORKER, Killer
from tests.chaos.link import Link, set_odds
from tests.chaos.link_faults import ALL_LOST, NONE, Odds
from tests.chaos.log_reader import read_log
from tests.chaos.node_counters import NodeCounters
from tests.pair import Pair

SETTINGS: Final[dict[str, Any]] = {
    "METRICS_LOOPBACK": "true",
    "MAX_UNSENT_BYTES": 65_536,
    "MESSAGES_PER_MINUTE": 0,
    "LOG_LEVEL": "WARNING",
}
"""Of all nodes of a run."""


class Deployment(Protocol):
    """The nodes of a run, between which agents and viewers choose, and their faults."""

    @property
    def pairs(self) -> Sequence[Pair]:
        """All pairs of nodes."""

    @property
    def crashes(self) -> list[str]:
        """What a node printed before it ended without being killed."""

    @property
    def epochs(self) -> int:
        """How many times the log may be replaced by another one."""

    def watchers(self) -> list[Coroutine[Any, Any, None]]:
        """What runs as long as the run: counters, and what starts a dead node again."""

    def faults(self) -> list[Coroutine[Any, Any, None]]:
        """What breaks things until it is cancelled."""

    async def mended(self) -> None:
        """Wait until everything runs again, after `faults` were cancelled."""

    async def lose_everything(self) -> None:
        """Have every event from now on be lost on its way to ws_node."""

    async def lose_nothing(self) -> None:
        """Have events arrive again."""

    def read_log(self) -> list[Logged]:
        """Every message, past all code of the product."""

    def durable(self, agents: Sequence[Agent]) -> list[Acknowledged]:
        """Every acknowledgement that must hold."""

    def figures(self) -> list[tuple[str, str]]:
        """Name and value, for people."""

    async def close(self) -> None:
        """Close what counts."""


class PairDeployment:
    """One pair on SQLite, with a faulty link between its nodes."""

    epochs = 0

    def __init__(self, pair: Pair, link: Link, killer: Killer, counters: NodeCounters) -> None:
        self.pairs = [pair]
        self._link = link
        self._killer = killer
        self._counters = counters

    @property
    def crashes(self) -> list[str]:
        """See `Deployment.crashes`."""
        return self._killer.crashes

    def watchers(self) -> list[Coroutine[Any, Any, None]]:
        """See `Deployment.watchers`."""
        return [self._counters.read_for_ever(), self._killer.watch_for_ever()]

    def faults(self) -> list[Coroutine[Any, Any, None]]:
        """See `Deployment.faults`."""
        set_odds(self._link, Odds())
        return [self._killer.kill_for_ever()]

    async def mended(self) -> None:
        """See `Deployment.mended`."""
        [pair] = self.pairs
        await pair.mcp.answers()
        await pair.ws.answers()

    async def lose_everything(self) -> None:
        """See `Deployment.lose_everything`."""
        set_odds(self._link, ALL_LOST)

    async def lose_nothing(self) -> None:
        """See `Deployment.lose_nothing`."""
        set_odds(self._link, NONE)

    def read_log(self) -> list[Logged]:
        """See `Deployment.read_log`."""
        return read_log(self.pairs[0].data_dir)

    def durable(self, agents: Sequence[Agent]) -> list[Acknowledged]:
        """See `Deployment.durable`."""
        return [answer for agent in agents for answer in agent.answers]

    def figures(self) -> list[tuple[str, str]]:
        """See `Deployment.figures`."""
        [pair], link, counters, kills = self.pairs, self._link, self._counters, self._killer.kills
        return [
            ("kill -9 of mcp_node, ws_node", ", ".join(str(n) for n in (*kills.values(),)[:2])),
            *([("kill -9 of one worker", str(kills[WORKER]))] if kills[WORKER] else []),
            ("both nodes answered", f"{counters.all / max(1, counters.looks):.0%} of the time"),
            ("link: passed", f"{link.passed:,}"),
            ("link: dropped, silenced", f"{_sum(link, 'dropped')}, {_sum(link, 'silenced')}"),
            ("link: repeated, reordered", f"{_sum(link, 'repeated')}, {link.reordered:,}"),
            ("link: found ws_node away", f"{link.undelivered:,}"),
            (
                "bridge: refused by the link",
                f"{counters.total(pair.mcp, 'bridge_dropped_total'):,}",
            ),
            ("history requests", f"{counters.total(pair.ws, 'history_requests_total'):,}"),
            ("gaps repaired", f"{counters.total(pair.ws, 'repairs_total'):,}"),
            ("largest mcp_node, ws_node", counters.largest()),
        ]

    async def close(self) -> None:
        """See `Deployment.close`."""
        await self._counters.close()


def _sum(link: Link, fate: str) -> str:
    return f"{sum(getattr(faults, fate) for faults in link.faults):,}"


async def cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they have ended; what failed in them is raised."""
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
