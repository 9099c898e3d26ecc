"""Must hold 5: adding a message takes no longer while ws_node is away.

Two deployments side by side, one with its ws_node (and a viewer) and one without; one agent calls
them in turn, one call here, one call there, so that both see the same machine. Half way the roles
change: the other one gets a ws_node and the first loses its own. The medians of all calls "with"
and "without" are compared.
"""

import contextlib
import time

from bench.calls import Caller, add_message, callers
from bench.measured_pair import SESSION, bench_pair
from bench.row import Row, median
from bench.viewers import connect, handshake
from tests.pair import Pair
from tests.waiting import until

TOLERANCE = 0.10


async def measure(quick: bool) -> list[Row]:
    """Median time of add_message without ws_node against with it."""
    calls = 100 if quick else 2_000
    away: list[float] = []
    there: list[float] = []
    async with (
        bench_pair() as one,
        bench_pair(start=("mcp",)) as other,
        callers(one, 1) as (to_one,),
        callers(other, 1) as (to_other,),
    ):
        for with_node, to_with, without, to_without in (
            (one, to_one, other, to_other),
            (other, to_other, one, to_one),
        ):
            if with_node is other:
                one.ws.end()
                await other.ws.start()
                await until(other.joined)
            await _alternate(with_node, to_with, there, without, to_without, away, calls)
    ours, reference = median(away), median(there)
    return [
        Row(
            "add_message without ws_node, p50",
            ours,
            "ms",
            reference,
            "with it",
            f"≤ {1 + TOLERANCE:.2f} x",
            ours <= reference * (1 + TOLERANCE),
        )
    ]


async def _alternate(
    with_node: Pair,
    to_with: Caller,
    there: list[float],
    without: Pair,
    to_without: Caller,
    away: list[float],
    calls: int,
) -> None:
    token = with_node.token("watcher")
    (viewer,) = connect(with_node.ws_port, [handshake(with_node.ws_port, SESSION, token)])
    viewer.setblocking(False)
    turns = ((to_with, add_message(with_node), there), (to_without, add_message(without), away))
    for caller, adding, _ in turns:
        for _ in range(50):
            await caller.call(adding)
    for number in range(calls):
        for caller, adding, took in turns if number % 2 else reversed(turns):
            begin = time.perf_counter()
            await caller.call(adding)
            took.append((time.perf_counter() - begin) * 1e3)
        with contextlib.suppress(BlockingIOError):
            viewer.recv(1_048_576)
    viewer.close()
