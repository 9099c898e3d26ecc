"""How long a committed message takes to reach a viewer, over both bridges.

An agent adds messages over HTTP at a steady rate; one viewer, a blocking socket in a process of
its own, reads CLOCK_MONOTONIC when ``recv`` returns. The time of each message begins when its
COMMIT returned in the writer's thread (`bench.node` notes it by id, beside the product's code, so
no frame is changed); so it includes the way back to the event loop, encoding, the bridge, the
fan-out and the kernel. "announced" begins a little later: when the event loop learned of the
commit, which is the moment the bridge's own ``published_ns`` stands for.

The reference is a raw pyzmq hop between two processes at the same rate (`bench.hop`), in blocks
between the blocks of messages.
"""

import asyncio
import time

from bench.calls import Caller, add_message, answered, callers, request
from bench.child import Child
from bench.hop import hop
from bench.measured_pair import SESSION, bench_pair
from bench.row import Row, quantile
from tests.pair import Pair

RATE = 200.0
HOP_MARGIN_MS = 0.25
SEED_MS = 100.0


async def measure(quick: bool) -> list[Row]:
    """p50 over ZeroMQ against a raw hop, p99 over HTTP against the seed's figure."""
    blocks, size = (1, 100) if quick else (10, 200)
    committed, announced, hops = await _latencies("zmq", blocks, size)
    over_http, _, _ = await _latencies("http", blocks, size)
    hop = quantile(hops, 0.5)
    ours = quantile(committed, 0.5)
    return [
        Row(
            "commit to viewer, ZeroMQ, p50",
            ours,
            "ms",
            hop,
            "raw pyzmq hop",
            f"≤ hop + {HOP_MARGIN_MS} ms",
            ours <= hop + HOP_MARGIN_MS,
        ),
        Row(
            "announced to viewer, ZeroMQ, p50", quantile(announced, 0.5), "ms", hop, "raw pyzmq hop"
        ),
        Row(
            "commit to viewer, ZeroMQ, p99",
            quantile(committed, 0.99),
            "ms",
            quantile(hops, 0.99),
            "raw pyzmq hop",
        ),
        Row("commit to viewer, HTTP bridge, p50", quantile(over_http, 0.5), "ms"),
        Row(
            "commit to viewer, HTTP bridge, p99",
            quantile(over_http, 0.99),
            "ms",
            SEED_MS,
            "the seed",
            f"< {SEED_MS:.0f} ms",
            quantile(over_http, 0.99) < SEED_MS,
        ),
    ]


async def _latencies(
    bridge: str, blocks: int, size: int
) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds from commit and from announcement to the viewer, and those of the hop."""
    async with bench_pair(BRIDGE=bridge) as pair, callers(pair, 1) as (caller,):
        endpoint = f"ipc://{pair.data_dir / 'hop.sock'}"
        token = pair.token("watcher")
        hops: list[int] = []
        async with Child(
            "bench.watch", pair.ws_port, SESSION, token, (blocks + 1) * size
        ) as viewer:
            await add_steadily(pair, caller, size)  # warms up both nodes
            await answered(caller, request(pair, "commit_times"))
            for _ in range(blocks):
                if bridge == "zmq":
                    hops += await hop(endpoint, size, RATE)
                await add_steadily(pair, caller, size)
            arrived = dict(await viewer.found())
        times = (await answered(caller, request(pair, "commit_times")))["times"]
    assert len(times) == blocks * size
    return (
        [(arrived[id_] - at) / 1e6 for id_, at, _ in times],
        [(arrived[id_] - at) / 1e6 for id_, _, at in times],
        [took / 1e6 for took in hops],
    )


async def add_steadily(pair: Pair, caller: Caller, count: int) -> None:
    adding = add_message(pair)
    start = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, start + number / RATE - time.monotonic()))
        await caller.call(adding)
