"""One run: the real pair, a faulty link, agents, viewers, a killer; then healing and judgement."""

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.chaos.agents import Agent, first_begun_after, make_rooms
from tests.chaos.judge import Logged, Transcript, Verdict, judge, may_see
from tests.chaos.killer import WORKER, Killer
from tests.chaos.link import Link, make_link, set_odds
from tests.chaos.link_faults import ALL_LOST, NONE, LinkFaults, Odds
from tests.chaos.log_reader import read_log
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
    """The sizes of a run; ``kill_every`` and ``pause`` (of an agent) are mean seconds."""

    seconds: float = 120.0
    seed: int = 1
    agents: int = 20
    viewers: int = 50
    sessions: int = 10
    kill_every: float = 2.0
    bridge: str = "zmq"
    pause: float = 0.06
    workers: int = 1

    def rng(self, part: str) -> random.Random:
        """The generator of one part: parts do not disturb each other's choices."""
        return random.Random(f"{self.seed}/{part}")


async def run(plan: Plan) -> Report:
    """Carry out a plan."""
    with tempfile.TemporaryDirectory(prefix="plc-") as name:
        directory = Path(name)
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
                METRICS_LOOPBACK="true",
                MAX_UNSENT_BYTES=65_536,
                MESSAGES_PER_MINUTE=0,
                LOG_LEVEL="WARNING",
            ) as pair:
                return await _Run(plan, pair, link).carried_out()
        finally:
            await link.close()


class _Run:
    """The parts of a run."""

    def __init__(self, plan: Plan, pair: Pair, link: Link) -> None:
        self._plan = plan
        self._pair = pair
        self._link = link
        self._counters = NodeCounters(pair.mcp, pair.ws)
        self._killer = Killer(pair, self._counters, plan.rng("killer"), plan.kill_every)
        self._tasks: list[asyncio.Task[None]] = []

    async def carried_out(self) -> Report:
        plan, pair = self._plan, self._pair
        rooms = await make_rooms(pair, plan.sessions)
        self._agents = [
            Agent(pair, number, rooms, plan.rng(f"agent {number}"), plan.pause)
            for number in range(plan.agents)
        ]
        self._viewers = make_viewers(pair, plan.viewers, rooms, plan.rng)
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
        await self._counters.close()
        breaches = [
            *breaches_of(self._viewers, self._agents),
            *self._killer.crashes,
            *late,
        ]
        return Report(self._judged(log), breaches, self._figures(log, healing))

    async def _broken(self, group: asyncio.TaskGroup) -> None:
        """Everything at once, for the given time; then the last writes, which the link loses."""
        plan = self._plan
        set_odds(self._link, Odds())
        enough = asyncio.Event()
        for viewer in self._viewers:
            self._start(group, self._come(viewer, plan.rng(f"arrival of {viewer.name}")))
        writing = [group.create_task(agent.write_until(enough)) for agent in self._agents]
        self._start(group, self._counters.read_for_ever())
        self._start(group, self._killer.watch_for_ever())
        troubles = [
            group.create_task(self._killer.kill_for_ever()),
            group.create_task(self._viewer_faults.run()),
        ]
        await asyncio.sleep(plan.seconds)
        for trouble in troubles:
            trouble.cancel()
        for viewer in self._viewers:
            viewer.wake()
        await self._pair.mcp.answers()
        await self._pair.ws.answers()
        await self._everybody_has_everything()  # who is not back is found out later
        set_odds(self._link, ALL_LOST)
        enough.set()
        await asyncio.gather(*writing)
        set_odds(self._link, NONE)

    def _start(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(group.create_task(work))

    async def _come(self, viewer: Viewer, rng: random.Random) -> None:
        """Half of the viewers are there from the beginning."""
        if rng.random() < 0.5:
            await asyncio.sleep(rng.uniform(0, 0.6 * self._plan.seconds))
        await viewer.watch_for_ever()

    async def _healed(self) -> tuple[list[Logged], list[str]]:
        """Wait until every viewer has come to the log's end; the log, and who has not."""
        log = read_log(self._pair.data_dir)
        late = []
        end = time.monotonic() + HEAL_SECONDS
        for viewer_log in self._viewer_logs():
            target = last_visible(log, viewer_log)
            try:
                await until(
                    partial(viewer_log.has_read, target), within=max(0.0, end - time.monotonic())
                )
            except TimeoutError:
                late.append(
                    f"{viewer_log.name} is at {viewer_log.last}, not at {target}, after the end"
                )
        late += await self._everybody_has_everything()
        return read_log(self._pair.data_dir), late

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
        answers = [answer for agent in self._agents for answer in agent.answers]
        return judge(log, transcripts, answers)

    def _figures(self, log: Sequence[Logged], healing: float) -> list[tuple[str, str]]:
        plan, pair, link, counters = self._plan, self._pair, self._link, self._counters
        took = delays(self._viewers, self._agents) or [0.0]
        codes = Counter(code for viewer in self._viewers for code in viewer.codes.elements())
        kills = self._killer.kills
        return [
            ("seed, bridge, seconds", f"{plan.seed}, {plan.bridge}, {plan.seconds:g}"),
            ("agents, viewers, sessions", f"{plan.agents}, {plan.viewers}, {plan.sessions}"),
            ("viewers by kind", kinds_of(self._viewers)),
            ("transcripts", f"{len(self._viewer_logs()):,}"),
            ("messages in the log", f"{len(log):,}"),
            ("writes acknowledged", f"{sum(bool(w.id) for a in self._agents for w in a.writes):,}"),
            ("writes asked again", f"{sum(agent.retries for agent in self._agents):,}"),
            ("deliveries", f"{sum(len(viewer_log.got) for viewer_log in self._viewer_logs()):,}"),
            ("deliveries by kind", deliveries_by_kind(self._viewers)),
            ("kill -9 of mcp_node, ws_node", ", ".join(str(n) for n in (*kills.values(),)[:2])),
            *([("kill -9 of one worker", str(kills[WORKER]))] if plan.workers > 1 else []),
            ("both nodes answered", f"{counters.both / max(1, counters.looks):.0%} of the time"),
            ("connections of viewers", f"{sum(v.connects for v in self._viewers):,}"),
            ("replays", f"{sum(viewer_log.replays for viewer_log in self._viewer_logs()):,}"),
            (
                "faults of viewers",
                ", ".join(f"{kind} {n}" for kind, n in sorted(self._viewer_faults.done.items())),
            ),
            ("close codes", ", ".join(f"{code}: {n}" for code, n in sorted(codes.items()))),
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
            (
                "largest mcp_node, ws_node",
                ", ".join(f"{size / 1_048_576:.0f} MiB" for size in counters.most_bytes.values()),
            ),
            ("acknowledged to viewer, median", f"{took[len(took) // 2] * 1e3:.1f} ms"),
            ("acknowledged to viewer, p99", f"{took[len(took) * 99 // 100]:.2f} s"),
            ("acknowledged to viewer, longest", f"{took[-1]:.2f} s"),
            ("last write to everybody complete", f"{healing:.2f} s"),
        ]


def _sum(link: Link, fate: str) -> str:
    return f"{sum(getattr(faults, fate) for faults in link.faults):,}"


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
