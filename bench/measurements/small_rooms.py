"""Latency from the bridge to 1 and to 10 viewers at 200 messages/s, beside nats-server.

Blocks of a few seconds in turns, both servers up all the time; the p50 of all blocks together. A
raw pyzmq hop between two processes (`bench.hop`) has its blocks in turn with them: it is the least
that anything behind a ZeroMQ bridge can take, before a byte is sent to a viewer.
"""

import tempfile
from contextlib import AsyncExitStack

from bench.hop import hop
from bench.measured_pair import allow_open_files
from bench.partyline import Partyline
from bench.peers.nats import Nats
from bench.peers.starting import started
from bench.row import Row, quantile
from bench.steady import steady_load
from bench.viewer_group import quantile_ms

RATE = 200
SIZES = (1, 10)
BOUND = 1.5
WARM_UP = 100


async def measure(quick: bool) -> list[Row]:
    """p50 and p99 for each number of viewers."""
    allow_open_files()
    turns, block = (1, 300) if quick else (5, 300)
    rows, hops = [], []
    for size in SIZES:
        async with started([Partyline(), Nats()]) as servers, AsyncExitStack() as stack:
            loads = [await steady_load(stack, server, size) for server in servers]
            for _ in range(turns):
                with tempfile.TemporaryDirectory(prefix="pl-") as directory:
                    hops += await hop(f"ipc://{directory}/hop.sock", block, RATE)
                for each in loads:
                    if not await each.run(block, RATE):
                        raise TimeoutError(f"{each.server.name} did not deliver in time")
            ours, *theirs = [await each.latencies(WARM_UP) for each in loads]
        name = f"{size} viewer{'s' * (size > 1)} x {RATE} msg/s"
        for label, share, bound in (("p50", 0.5, BOUND), ("p99", 0.99, None)):
            value = quantile_ms(ours, share)
            if not theirs:
                rows.append(Row(f"{name}, {label}", value, "ms"))
                continue
            peer = quantile_ms(theirs[0], share)
            rows.append(
                Row(
                    f"{name}, {label}",
                    value,
                    "ms",
                    peer,
                    Nats.name,
                    f"≤ {bound} x" if bound else "",
                    value <= bound * peer if bound else None,
                )
            )
    least = Row("the same rate: a raw pyzmq hop, p50", quantile(hops, 0.5) / 1e6, "ms")
    return [*rows, least]
