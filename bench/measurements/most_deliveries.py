"""Most deliveries/s with 100 viewers and 256-byte messages, beside each peer.

Up to `WINDOW` messages are under way; the next go out when the slowest viewer has more. The client
that publishes and reads is the same for all (`bench.viewer_group`). Once more with one token for
all viewers (one audience), and with one audience each.
"""

import asyncio
import time

from bench.measured_pair import allow_open_files
from bench.partyline import Partyline
from bench.peers.interface import Publisher, Server, cpu_seconds
from bench.peers.nats import Nats
from bench.peers.plain_fastapi import PlainFastAPI
from bench.peers.starting import started
from bench.peers.websockets_broadcast import WebsocketsBroadcast
from bench.row import Row, median
from bench.viewer_group import Viewers

VIEWERS = 100
WINDOW = 1_000
BURST = 50
BARS = {"nats-server": 1.0, "plain FastAPI": 10.0, "websockets.broadcast": 3.0}


async def measure(quick: bool) -> list[Row]:
    """Deliveries/s of ours beside each peer's, the median of turns; CPU time of each."""
    allow_open_files()
    rounds, seconds = (1, 0.5) if quick else (3, 2.0)
    servers = (Partyline(), PlainFastAPI(), WebsocketsBroadcast(), Nats())
    async with started(servers) as running:
        rates, costs = await _in_turns(running, rounds, seconds)
    async with started([Partyline(shared=True)]) as running:
        shared_rates, shared_costs = await _in_turns(running, rounds, seconds)
    ours, cost = rates.pop("ws_node"), costs.pop("ws_node")
    name = f"most deliveries/s, {VIEWERS} viewers, 256 B"
    rows = [
        Row(name, ours, "/s", rate, peer, f"≥ {BARS[peer]:.0f} x", ours >= BARS[peer] * rate)
        for peer, rate in rates.items()
    ]
    what = "CPU per delivery, as many as possible"
    return [
        *rows,
        Row(name, ours, "/s", shared_rates["ws_node"], "one audience"),
        *(Row(what, cost, "µs", each, peer) for peer, each in costs.items()),
        Row(what, cost, "µs", shared_costs["ws_node"], "one audience"),
    ]


async def _in_turns(
    servers: list[Server], rounds: int, seconds: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Deliveries/s and CPU microseconds of each, by the server's name."""
    rates: dict[str, list[float]] = {server.name: [] for server in servers}
    costs: dict[str, list[float]] = {server.name: [] for server in servers}
    stands = []
    for server in servers:
        viewers = await asyncio.to_thread(server.connect, VIEWERS)
        stands.append((server, viewers, server.publisher()))
    try:
        for turn in range(rounds + 1):
            for server, viewers, publisher in stands:
                used, done = cpu_seconds(server), viewers.deliveries
                length = seconds if turn else seconds / 4  # the first only warms up
                took = await asyncio.to_thread(flood, publisher, viewers, length)
                done = viewers.deliveries - done
                if turn:
                    rates[server.name].append(done / took)
                    costs[server.name].append((cpu_seconds(server) - used) / done * 1e6)
    finally:
        for _, viewers, publisher in stands:
            viewers.close()
            publisher.close()
    return (
        {name: median(values) for name, values in rates.items()},
        {name: median(values) for name, values in costs.items()},
    )


def flood(publisher: Publisher, viewers: Viewers, seconds: float) -> float:
    """Keep messages under way for a while; how long it took until every viewer had all."""
    begin = time.perf_counter()
    end = begin + seconds
    slowest = viewers.slowest
    while (open_ := time.perf_counter() < end) or slowest < publisher.sent:
        while open_ and publisher.sent - slowest < WINDOW:
            before = publisher.sent
            publisher.burst(BURST)
            if publisher.sent == before:
                break
        viewers.read(0.1)
        slowest = viewers.slowest
        if time.perf_counter() > end + 30:
            raise TimeoutError(f"{publisher.sent - slowest} messages were not delivered")
    return time.perf_counter() - begin
