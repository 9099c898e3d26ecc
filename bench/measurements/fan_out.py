"""What ws_node delivers: as much as it can to 100 viewers, and 1,000 messages/s to 1,000.

The bench takes mcp_node's place on the bridge (`bench.bridge`) with 256-byte messages of one
session; mcp_node itself runs, for history. Viewers are raw sockets that count bytes.

* Most: up to `WINDOW` messages are under way; the next goes out when the slowest viewer has one
  more. Once with a token for each viewer, once with one token for all (one audience).
* Steady: 1,000 messages/s from a process of its own, from handing a message to ZeroMQ to each
  viewer's ``recv``. Every delivery counts; ``delivered`` must be all of them.

CPU time per delivery is ws_node's own, kernel included.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import zmq

from bench.audience import Viewers, quantile_ms
from bench.bridge import Bridge
from bench.calls import callers, request
from bench.child import Child
from bench.row import Row
from bench.stand import SESSION, allow_open_files, bench_pair, cpu_seconds
from bench.viewers import connect, handshake, split
from proto import keyfile
from tests.pair import Pair

WINDOW = 1_000
WARM_UP = 0.2
"""Share of the steady messages whose latency does not count."""


async def measure(quick: bool) -> list[Row]:
    """First figures for the fan-out; the peers come with the bars."""
    allow_open_files()
    seconds = 1.0 if quick else 5.0
    own = await _most(100, seconds, shared=False)
    one = await _most(100, seconds, shared=True)
    viewers, rate = (100, 1_000) if quick else (1_000, 1_000)
    return [
        Row("most deliveries/s, 100 viewers, 256 B", own[0], "/s", one[0], "one audience"),
        Row("CPU of ws_node per delivery, 100 viewers", own[1], "µs", one[1], "one audience"),
        *await _steady(viewers, rate, int(rate * seconds)),
    ]


async def _most(viewers: int, seconds: float, *, shared: bool) -> tuple[float, float]:
    """Deliveries/s, and CPU microseconds of each."""
    async with _watched(viewers, shared=shared) as (pair, watching, endpoint, epoch):
        bridge = Bridge(endpoint, epoch)
        try:
            await asyncio.to_thread(_flood, bridge, watching, seconds / 5)
            done, used = watching.deliveries, cpu_seconds(pair.ws)
            begin = time.perf_counter()
            await asyncio.to_thread(_flood, bridge, watching, seconds)
            took = time.perf_counter() - begin
            done, used = watching.deliveries - done, cpu_seconds(pair.ws) - used
        finally:
            bridge.close()
    return done / took, used / done * 1e6


def _flood(bridge: Bridge, watching: Viewers, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while (open_ := time.perf_counter() < end) or watching.slowest < bridge.sent:
        with suppress(zmq.Again):
            while open_ and bridge.sent - watching.slowest < WINDOW:
                for _ in range(50):
                    bridge.send(zmq.NOBLOCK)
        watching.read(0.1)
        if time.perf_counter() > end + 10:
            raise TimeoutError(f"{bridge.sent - watching.slowest} messages were not delivered")


async def _steady(viewers: int, rate: int, count: int) -> list[Row]:
    async with _watched(viewers, shared=False) as (pair, watching, endpoint, epoch):
        async with Child("bench.bridge", endpoint, epoch, count, rate) as pusher:
            used = cpu_seconds(pair.ws)
            await asyncio.to_thread(_collect, watching, count, count / rate + 10)
            used = cpu_seconds(pair.ws) - used
            sent = await pusher.found()
        delivered = watching.deliveries
        found = await asyncio.to_thread(watching.latencies, sent, int(count * WARM_UP))
    name = f"{viewers:,} viewers x {rate:,} msg/s"
    share = delivered / (count * viewers) * 100
    return [
        Row(f"{name}, delivered", share, "%", bar="100 %", met=share == 100),
        Row(f"{name}, p50", quantile_ms(found, 0.5), "ms"),
        Row(f"{name}, p99", quantile_ms(found, 0.99), "ms"),
        Row(f"{name}, CPU of ws_node per delivery", used / delivered * 1e6, "µs"),
    ]


def _collect(watching: Viewers, count: int, within: float) -> None:
    end = time.monotonic() + within
    while watching.slowest < count and time.monotonic() < end:
        for _ in range(20):
            watching.read(0.05)


@asynccontextmanager
async def _watched(viewers: int, *, shared: bool) -> AsyncIterator[tuple[Pair, Viewers, str, str]]:
    """A pair with viewers, the bridge's endpoint, and the log's epoch."""
    async with bench_pair() as pair, callers(pair, 1) as (caller,):
        await caller.call(request(pair, "reach"))
        names = ["viewer" if shared else f"viewer-{number}" for number in range(viewers)]
        requests = [handshake(pair.ws_port, SESSION, pair.token(name)) for name in names]
        watching = Viewers(await asyncio.to_thread(connect, pair.ws_port, requests))
        try:
            endpoint = keyfile.bridge_endpoint(pair.data_dir, "")
            yield pair, watching, endpoint, _epoch(pair)
        finally:
            watching.close()


def _epoch(pair: Pair) -> str:
    """The log's epoch, as a viewer that subscribes is told."""
    request = handshake(pair.ws_port, f"{SESSION}?since=0", pair.token("asking"))
    (viewer,) = connect(pair.ws_port, [request])
    with viewer:
        received = bytearray()
        while not (frames := list(split(received))):
            received += viewer.recv(4_096)
    return str(json.loads(frames[0][1])["epoch"])
