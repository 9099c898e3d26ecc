"""1,000 messages/s of 256 bytes to 1,000 viewers of one room, beside nats-server and FastAPI.

Ours and nats-server take turns of some seconds in one run, both up all the time; then the plain
FastAPI loop gets the same load once. See `bench.steady` for what is timed.
"""

from contextlib import AsyncExitStack

from bench.measured_pair import allow_open_files
from bench.partyline import Partyline
from bench.peers.nats import Nats
from bench.peers.plain_fastapi import PlainFastAPI
from bench.peers.starting import started
from bench.row import Row
from bench.steady import SteadyLoad, steady_load
from bench.viewer_group import quantile_ms

RATE = 1_000
P99_SHARE = 0.5
WARM_UP = 500
"""Messages whose latency does not count."""


async def measure(quick: bool) -> list[Row]:
    """Share delivered, latency and CPU time beside nats-server's; whether FastAPI keeps up."""
    allow_open_files()
    count, turns, seconds = (100, 1, 1) if quick else (1_000, 2, 4)
    async with started([Partyline(), Nats()]) as servers, AsyncExitStack() as stack:
        loads = [await steady_load(stack, server, count) for server in servers]
        for _ in range(turns):
            for each in list(loads):
                await each.run(RATE * seconds, RATE)
        ours, *peers = loads
        rows = await _beside(f"{count:,} viewers x {RATE:,} msg/s", ours, peers)
    async with started([PlainFastAPI()]) as servers, AsyncExitStack() as stack:
        for server in servers:
            plain = await steady_load(stack, server, count)
            keeps_up = await plain.run(RATE * seconds, RATE)
            rows.insert(
                1,
                Row(
                    f"{count:,} viewers x {RATE:,} msg/s, delivered",
                    ours.share,
                    "%",
                    plain.share,
                    server.name,
                    "" if quick else "it cannot keep up",
                    None if quick else not keeps_up,
                ),
            )
    return rows


async def _beside(name: str, ours: SteadyLoad, peers: list[SteadyLoad]) -> list[Row]:
    rows = [Row(f"{name}, delivered", ours.share, "%", bar="100 %", met=ours.share == 100)]
    if ours.share < 100:
        return rows
    found = await ours.latencies(WARM_UP)
    half, tail = quantile_ms(found, 0.5), quantile_ms(found, 0.99)
    cost = f"{name}, CPU per delivery"
    if not peers:
        return [
            *rows,
            Row(f"{name}, p50", half, "ms"),
            Row(f"{name}, p99", tail, "ms"),
            Row(cost, ours.cost, "µs"),
        ]
    (peer,) = peers
    against = peer.server.name
    rows.append(Row(f"{name}, delivered", ours.share, "%", peer.share, against))
    if peer.share == 100:
        theirs = await peer.latencies(WARM_UP)
        bound = quantile_ms(theirs, 0.99)
        rows += [
            Row(f"{name}, p50", half, "ms", quantile_ms(theirs, 0.5), against),
            Row(
                f"{name}, p99",
                tail,
                "ms",
                bound,
                against,
                f"≤ {P99_SHARE} x",
                tail <= P99_SHARE * bound,
            ),
        ]
    rows.append(Row(cost, ours.cost, "µs", peer.cost, against))
    return rows
