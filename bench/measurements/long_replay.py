"""Must hold 5: 100,000 missed messages for one viewer, while others watch another session live.

A session with 100,000 messages of 256 characters; one viewer, a process of its own, comes with
``since=0`` and reads all of them. Meanwhile an agent adds a message to another session every
20 ms, and live viewers there, each a process of its own, note when each arrives: the longest time
between two of them is their longest pause. It is compared with the same without a replay, in the
same run: the pause holds whatever else the machine does. Where a pause comes from is told apart
by the commits: the longest time between two of them in mcp_node is no part of ws_node's.

RSS of both nodes is read 20 times a second; growth is from before the replay to its peak.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import TypeVar

from bench.calls import Caller, add_message, answered, callers, request
from bench.child import Child
from bench.measured_pair import SESSION, bench_pair, resident_bytes
from bench.row import Row, quantile
from bench.watch import LAST
from tests.node_process import Node
from tests.pair import Pair

T = TypeVar("T")

LONG = "bench-long"
MESSAGES = 100_000
WATCHERS = 3
EVERY_SECONDS = 0.02
QUIET_SECONDS = 8.0
PAUSE_MS = 100.0
GROWTH_MIB = 64.0
MIB = 1_048_576


async def measure(quick: bool) -> list[Row]:
    """Time and order of the replay, others' longest pause, memory of both nodes."""
    count = 10_000 if quick else MESSAGES
    seconds = 3.0 if quick else QUIET_SECONDS
    async with bench_pair() as pair, callers(pair, 1) as (caller,):
        made = request(pair, "create_session", purpose="bench", session_id=LONG)
        await caller.call(made)
        await caller.call(request(pair, "fill", session_id=LONG, count=count))
        await answered(caller, request(pair, "commit_times"))
        await _watched(pair, caller, lambda: asyncio.sleep(seconds / 4))  # warms up
        quiet, _, _ = await _watched(pair, caller, lambda: asyncio.sleep(seconds))
        before = {node: resident_bytes(node) for node in (pair.ws, pair.mcp)}
        peaks = dict(before)
        pauses, commits, (seen, ordered, took) = await _watched(
            pair, caller, lambda: _replayed(pair, count, peaks)
        )
    name = f"{count:,} missed messages"
    exact = seen == count and ordered
    rows = [
        Row(f"{name}: came once and in order", seen, f"of {count}", bar="all", met=exact),
        Row(f"{name}: replayed in", took, "s"),
        Row(f"{name}: replayed", seen / took, "/s"),
        Row(
            f"{name}: others' longest pause",
            max(pauses),
            "ms",
            max(quiet),
            "no replay",
            f"≤ {PAUSE_MS:.0f} ms",
            max(pauses) <= PAUSE_MS,
        ),
        Row(
            f"{name}: others' p99 pause",
            quantile(pauses, 0.99),
            "ms",
            quantile(quiet, 0.99),
            "no replay",
        ),
        Row(f"{name}: longest time between their commits", max(commits), "ms"),
    ]
    for node, which in ((pair.ws, "ws_node"), (pair.mcp, "mcp_node")):
        growth = (peaks[node] - before[node]) / MIB
        rows.append(
            Row(
                f"{name}: growth of {which}",
                growth,
                "MiB",
                bar=f"≤ {GROWTH_MIB:.0f} MiB",
                met=growth <= GROWTH_MIB,
            )
        )
    return rows


async def _watched(
    pair: Pair, caller: Caller, during: Callable[[], Awaitable[T]]
) -> tuple[list[float], list[float], T]:
    """Milliseconds between arrivals and between commits while something happens; its result."""
    async with AsyncExitStack() as stack:
        watchers = []
        for number in range(WATCHERS):
            token = pair.token(f"watcher-{number}")
            watcher = Child("bench.watch", pair.ws_port, SESSION, token, 0)
            watchers.append(await stack.enter_async_context(watcher))
        stopped = asyncio.Event()
        adding = asyncio.create_task(_add(pair, caller, stopped))
        await asyncio.sleep(0.5)
        result = await during()
        stopped.set()
        await adding
        await caller.call(request(pair, "add_message", session_id=SESSION, content=LAST))
        arrivals = [[at for _, at in await watcher.found()] for watcher in watchers]
    times = (await answered(caller, request(pair, "commit_times")))["times"]
    return (
        [gap for each in arrivals for gap in _gaps(each)],
        _gaps([at for _, at, _ in times]),
        result,
    )


async def _replayed(pair: Pair, count: int, peaks: dict[Node, int]) -> tuple[int, bool, float]:
    """How many messages came, whether in order, and in how many seconds."""
    child = Child("bench.replay", pair.ws_port, LONG, pair.token("replayer"), count)
    async with child as replaying:
        found = asyncio.create_task(replaying.found())
        while not found.done():
            for node in peaks:
                peaks[node] = max(peaks[node], resident_bytes(node))
            await asyncio.sleep(0.05)
        seen, ordered, seconds = await found
    return int(seen), bool(ordered), float(seconds)


async def _add(pair: Pair, caller: Caller, stopped: asyncio.Event) -> None:
    """A message every 20 ms, as far as they are answered in time."""
    adding = add_message(pair)
    due = time.monotonic()
    while not stopped.is_set():
        await caller.call(adding)
        due = max(due + EVERY_SECONDS, time.monotonic() - EVERY_SECONDS)
        await asyncio.sleep(max(0.0, due - time.monotonic()))


def _gaps(times: list[int]) -> list[float]:
    return [(later - earlier) / 1e6 for earlier, later in pairwise(times)]
