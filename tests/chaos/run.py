"""One run: a deployment, agents, viewers, and all that breaks; then healing and judgement."""

import asyncio
import contextlib
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.chaos.agents import Agent, first_begun_after, make_rooms
from tests.chaos.cluster import cluster
from tests.chaos.deployment import SETTINGS, Deployment, PairDeployment, cancelled
from tests.chaos.judge import Logged, Transcript, Verdict, judge, may_see
from tests.chaos.killer import Killer
from tests.chaos.link import make_link
from tests.chaos.link_faults import LinkFaults
from tests.chaos.node_counters import NodeCounters
from tests.chaos.report import Report, breaches_of, delays
from tests.chaos.viewer_faults import ViewerFaults
from tests.chaos.viewer_kinds import deliveries_by_kind, kinds_of, make_viewers
from tests.chaos.viewer_log import ViewerLog
from tests.chaos.viewers import Viewer
from tests.pair import Pair
from tests.waiting import until

HEAL_SECONDS: Final = 20.0
"""How long everything may take to arrive once nothing is broken any more."""

VIEWER_FAULT_SECONDS: Final = 10.0
"""Mean time between two faults of one viewer."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The sizes of a run; ``kill_every`` and ``pause`` (of an agent) are mean seconds.

    ``cluster``: two pairs on PostgreSQL and NATS instead of one pair. ``standby``: of PostgreSQL,
    ``sync`` or ``async``; it is promoted halfway, when the primary is killed.
    """

    seconds: float = 120.0
    seed: int = 1
    agents: int = 20
    viewers: int = 50
    sessions: int = 10
    kill_every: float = 2.0
    bridge: str = "zmq"
    pause: float = 0.06
    workers: int = 1
    cluster: bool = False
    standby: str = ""

    @property
    def name(self) -> str:
        """What is broken."""
        if not self.cluster:
            return self.bridge
        return f"cluster with {self.standby} standby" if self.standby else "cluster"

    def rng(self, part: str) -> random.Random:
        """The generator of one part: parts do not disturb each other's choices."""
        return random.Random(f"{self.seed}/{part}")


async def run(plan: Plan) -> Report:
    """Carry out a plan."""
    with tempfile.TemporaryDirectory(prefix="plc-") as name:
        if plan.cluster:
            async with cluster(Path(name), plan.rng, plan.kill_every, plan.standby) as broken:
                return await _Run(plan, broken).carried_out()
        async with _pair(plan, Path(name)) as broken:
            return await _Run(plan, broken).carried_out()


@contextlib.asynccontextmanager
async def _pair(plan: Plan, directory: Path) -> AsyncIterator[Deployment]:
    faults = [
        LinkFaults(plan.rng(f"link {worker}" if worker else "link"))
        for worker in range(plan.workers)
    ]
    link = make_link(plan.bridge, directory, faults)
    await link.start()
    try:
        async with Pair(
            directory,
            mcp_settings=link.mcp_settings,
            ws_settings=link.ws_settings,
            WS_WORKERS=plan.workers,
            **SETTINGS,
        ) as pair:
            counters = NodeCounters(pair.mcp, pair.ws)
            killer = Killer(pair, counters, plan.rng("killer"), plan.kill_every)
            yield PairDeployment(pair, link, killer, counters)
    finally:
        await link.close()


class _Run:
    """The parts of a run."""

    def __init__(self, plan: Plan, deployment: Deployment) -> None:
        self._plan = plan
        self._deployment = deployment
        self._tasks: list[asyncio.Task[None]] = []

    async def carried_out(self) -> Report:
        plan, pairs = self._plan, self._deployment.pairs
        rooms = await make_rooms(pairs[0], plan.sessions)
        self._agents = [
            Agent(pairs, number, rooms, plan.rng(f"agent {number}"), plan.pause)
            for number in range(plan.agents)
        ]
        self._viewers = make_viewers(pairs, plan.viewers, rooms, plan.rng)
        self._viewer_faults = ViewerFaults(
            self._viewers, plan.rng("viewer faults"), VIEWER_FAULT_SECONDS / plan.viewers
        )
        async with asyncio.TaskGroup() as group:
            await self._broken(group)
            begin = time.monotonic()
            log, late = await self._healed()
            healing = time.monotonic() - begin
            for task in self._tasks:
                task.cancel()
        await self._deployment.close()
        breaches = [
            *breaches_of(self._viewers, self._agents, resets=self._deployment.epochs),
            *self._deployment.crashes,
            *late,
        ]
        return Report(self._judged(log), breaches, self._figures(log, healing))

    async def _broken(self, group: asyncio.TaskGroup) -> None:
        """Everything at once, for the given time; then the last writes, whose events are lost."""
        plan, deployment = self._plan, self._deployment
        enough = asyncio.Event()
        for viewer in self._viewers:
            self._start(group, self._come(viewer, plan.rng(f"arrival of {viewer.name}")))
        writing = [group.create_task(agent.write_until(enough)) for agent in self._agents]
        for watcher in deployment.watchers():
            self._start(group, watcher)
        faults = [*deployment.faults(), self._viewer_faults.run()]
        troubles = [group.create_task(fault) for fault in faults]
        await asyncio.sleep(plan.seconds)
        await cancelled(troubles)
        for viewer in self._viewers:
            viewer.wake()
        await deployment.mended()
        await self._everybody_has_everything()  # who is not back is found out later
        await deployment.lose_everything()
        enough.set()
        await asyncio.gather(*writing)
        await deployment.lose_nothing()

    def _start(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(group.create_task(work))

    async def _come(self, viewer: Viewer, rng: random.Random) -> None:
        """Half of the viewers are there from the beginning."""
        if rng.random() < 0.5:
            await asyncio.sleep(rng.uniform(0, 0.6 * self._plan.seconds))
        await viewer.watch_for_ever()

    async def _healed(self) -> tuple[list[Logged], list[str]]:
        """Wait until every viewer has come to the log's end; the log, and who has not."""
        log = self._deployment.read_log()
        late = []
        end = time.monotonic() + HEAL_SECONDS
        writes = [write for agent in self._agents for write in agent.writes]
        for viewer_log in self._viewer_logs():
            target = last_visible(log, viewer_log)
            if viewer_log.last is None and viewer_log.begins == "plain":
                # It only connected: what had begun before that need not come.
                began = first_begun_after(writes, viewer_log.room, viewer_log.moment)
                target = 0 if began is None or target < began else target
            try:
                await until(
                    partial(viewer_log.has_read, target), within=max(0.0, end - time.monotonic())
                )
            except TimeoutError:
                late.append(
                    f"{viewer_log.name} is at {viewer_log.last}, not at {target}, after the end"
                )
        late += await self._everybody_has_everything()
        return self._deployment.read_log(), late

    def _viewer_logs(self) -> list[ViewerLog]:
        return [
            viewer_log for viewer in self._viewers for viewer_log in viewer.viewer_logs.values()
        ]

    async def _everybody_has_everything(self) -> list[str]:
        """Wait until all that was on its way has been read; who does not answer."""
        waiting = {asyncio.create_task(v.has_everything()): v.name for v in self._viewers}
        _, silent = await asyncio.wait(waiting, timeout=HEAL_SECONDS)
        for task in silent:
            task.cancel()
        return [f"{waiting[task]} does not answer after the end" for task in silent]

    def _judged(self, log: Sequence[Logged]) -> Verdict:
        writes = [write for agent in self._agents for write in agent.writes]
        transcripts = []
        for viewer_log in self._viewer_logs():
            start = viewer_log.start
            if start is None:  # it only connected: everything begun since then was promised
                began = first_begun_after(writes, viewer_log.room, viewer_log.moment)
                firsts = [
                    id_ for id_ in (began, viewer_log.got[0].id if viewer_log.got else None) if id_
                ]
                start = min(firsts) - 1 if firsts else log[-1].id if log else 0
            transcripts.append(
                Transcript(
                    viewer_log.name, viewer_log.room, viewer_log.audience, start, viewer_log.got
                )
            )
        answers = self._deployment.durable(self._agents)
        return judge(log, transcripts, answers)

    def _figures(self, log: Sequence[Logged], healing: float) -> list[tuple[str, str]]:
        plan = self._plan
        took = delays(self._viewers, self._agents) or [0.0]
        codes = Counter(code for viewer in self._viewers for code in viewer.codes.elements())
        return [
            ("seed, bridge, seconds", f"{plan.seed}, {plan.name}, {plan.seconds:g}"),
            ("agents, viewers, sessions", f"{plan.agents}, {plan.viewers}, {plan.sessions}"),
            ("viewers by kind", kinds_of(self._viewers)),
            ("transcripts", f"{len(self._viewer_logs()):,}"),
            ("messages in the log", f"{len(log):,}"),
            ("writes acknowledged", f"{sum(bool(w.id) for a in self._agents for w in a.writes):,}"),
            ("writes asked again", f"{sum(agent.retries for agent in self._agents):,}"),
            ("deliveries", f"{sum(len(viewer_log.got) for viewer_log in self._viewer_logs()):,}"),
            ("deliveries by kind", deliveries_by_kind(self._viewers)),
            ("connections of viewers", f"{sum(v.connects for v in self._viewers):,}"),
            ("replays", f"{sum(viewer_log.replays for viewer_log in self._viewer_logs()):,}"),
            (
                "faults of viewers",
                ", ".join(f"{kind} {n}" for kind, n in sorted(self._viewer_faults.done.items())),
            ),
            ("close codes", ", ".join(f"{code}: {n}" for code, n in sorted(codes.items()))),
            *self._deployment.figures(),
            ("acknowledged to viewer, median", f"{took[len(took) // 2] * 1e3:.1f} ms"),
            ("acknowledged to viewer, p99", f"{took[len(took) * 99 // 100]:.2f} s"),
            ("acknowledged to viewer, longest", f"{took[-1]:.2f} s"),
            ("last write to everybody complete", f"{healing:.2f} s"),
        ]


def last_visible(log: Sequence[Logged], viewer_log: ViewerLog) -> int:
    """The last id that must have been seen; 0 if there is nothing for it."""
    return max(
        (
            message.id
            for message in log
            if message.session_id == viewer_log.room and may_see(viewer_log.audience, message)
        ),
        default=0,
    )
