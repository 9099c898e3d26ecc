"""200 agents that wait: what they cost while nothing happens, and how soon all are awake.

The CPU time of mcp_node while all of them wait is compared with that of the same node while nobody
does, in blocks of one run. Then one message wakes them; each must get it once.
"""

import asyncio
import json
import time
from functools import partial

from bench.calls import Caller, add_message, answered, callers, request
from bench.measured_pair import SESSION, bench_pair, cpu_seconds
from bench.row import Row, median
from bench.waiters import Waiter, waiters
from tests.pair import Pair
from tests.waiting import until

AGENTS = 200
SHARE_PERCENT = 2.0
WAIT_SECONDS = 55


async def measure(quick: bool) -> list[Row]:
    """CPU of mcp_node in percent of a core, and milliseconds from commit to the last one awake."""
    blocks, seconds = (1, 3.0) if quick else (3, 12.0)
    idle: list[float] = []
    waiting: list[float] = []
    last: list[float] = []
    once = True
    async with bench_pair() as pair:
        async with callers(pair, 1):  # makes the session
            pass
        for _ in range(blocks):
            idle.append(await _percent(pair, seconds))
            async with waiters(pair, AGENTS, WAIT_SECONDS) as agents:
                async with callers(pair, 1) as (caller,):
                    await until(partial(_wait, pair, caller), within=30.0)
                waiting.append(await _percent(pair, seconds))
                async with callers(pair, 1) as (caller,):
                    took, each_once = await _wake(pair, caller, agents)
            last.append(took)
            once = once and each_once
    share = median(waiting)
    return [
        Row(
            f"CPU of mcp_node while {AGENTS} agents wait",
            share,
            "% of a core",
            median(idle),
            "nobody waits",
            f"< {SHARE_PERCENT:.0f} %",
            share < SHARE_PERCENT,
        ),
        Row(
            f"{AGENTS} agents awake, commit to the last result",
            median(last),
            "ms",
            bar="each once",
            met=once,
        ),
    ]


async def _percent(pair: Pair, seconds: float) -> float:
    await asyncio.sleep(1.0)  # what was before comes to rest
    before = cpu_seconds(pair.mcp)
    await asyncio.sleep(seconds)
    return (cpu_seconds(pair.mcp) - before) / seconds * 100


async def _wait(pair: Pair, caller: Caller) -> bool:
    found = await answered(caller, request(pair, "list_agents", session_id=SESSION))
    return bool(sum(one["waiting"] for one in found["agents"]) == AGENTS)


async def _wake(pair: Pair, caller: Caller, agents: list[Waiter]) -> tuple[float, bool]:
    """How long it took from the commit until the last was awake, and whether each got it once."""
    await answered(caller, request(pair, "commit_times"))
    added = json.loads(await caller.call(add_message(pair)))["result"]["structuredContent"]
    begin = time.monotonic()
    outcomes = await asyncio.gather(*(agent.outcome for agent in agents))
    assert time.monotonic() - begin < WAIT_SECONDS
    (times,) = (await answered(caller, request(pair, "commit_times")))["times"]
    assert times[0] == added["message_id"]
    each_once = set(outcomes) == {"messages"} and all(
        agent.ids() == [added["message_id"]] for agent in agents
    )
    return (max(agent.at for agent in agents) - times[1]) / 1e6, each_once
