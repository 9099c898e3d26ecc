"""NATS beside ZeroMQ: commit to viewer, and how much one ws_node takes off the bus.

Commit to viewer is measured as in `bench.measurements.commit_to_viewer`, in two deployments side by
side whose blocks of messages take turns. The other figure is a flood of one session with one
viewer, with up to a thousand messages under way; publisher, nats-server, ws_node and viewer share
the cores, so the bar is on the CPU time of ws_node: 20 µs a message are 50,000 messages/s. Last,
what a ws_node costs that shows a few sessions, while those alone or thousands of others get
messages too: it does not receive the others.
"""

import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.bus import BusBridge
from bench.calls import Caller, answered, callers, request
from bench.child import Child
from bench.lockstep import deliver
from bench.measured_pair import SESSION, bench_pair
from bench.measurements.commit_to_viewer import add_steadily
from bench.measurements.most_deliveries import flood
from bench.partyline import Partyline
from bench.peers.interface import cpu_seconds
from bench.row import Row, median, quantile
from tests.nats_server import PROGRAM, NatsServer
from tests.pair import Pair

LATENCY_BAR = 1.5
CPU_BAR_US = 20.0
SHOWN = 10
OTHERS_BAR = 3.0


async def measure(quick: bool) -> list[Row]:
    """p50 and p99 over both, and the flood."""
    if PROGRAM is None:
        print("no rows for the bus: nats-server is not installed", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory(prefix="pl-") as directory:
        async with NatsServer(Path(directory)) as server:
            return [
                *await _latency(server, quick),
                *await _flood(server, quick),
                *await _others(server, quick),
            ]


def _on_nats(server: NatsServer) -> dict[str, Any]:
    return {
        "BRIDGE": "nats",
        "mcp_settings": {"NATS_URL": server.url("mcp_node")},
        "ws_settings": {"NATS_URL": server.url("ws_node")},
    }


async def _latency(server: NatsServer, quick: bool) -> list[Row]:
    blocks, size = (1, 100) if quick else (10, 200)
    took: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        stands: dict[str, tuple[Pair, Caller, Child]] = {}
        pairs = {
            name: await stack.enter_async_context(bench_pair(**settings))
            for name, settings in (("ZeroMQ", {}), ("NATS", _on_nats(server)))
        }
        for name, pair in pairs.items():
            (caller,) = await stack.enter_async_context(callers(pair, 1))
            count = (blocks + 1) * size
            watching = Child("bench.watch", pair.ws_port, SESSION, pair.token("watcher"), count)
            stands[name] = pair, caller, await stack.enter_async_context(watching)
        for turn in range(blocks + 1):
            for pair, caller, _ in stands.values():
                await add_steadily(pair, caller, size)
                if turn == 0:  # that warmed up both nodes
                    await answered(caller, request(pair, "commit_times"))
        for name, (pair, caller, viewer) in stands.items():
            arrived = dict(await viewer.found())
            times = (await answered(caller, request(pair, "commit_times")))["times"]
            took[name] = [(arrived[id_] - at) / 1e6 for id_, at, _ in times]
    ours, reference = (quantile(took[name], 0.5) for name in ("NATS", "ZeroMQ"))
    return [
        Row(
            "commit to viewer, NATS, p50",
            ours,
            "ms",
            reference,
            "ZeroMQ",
            f"≤ {LATENCY_BAR} x",
            ours <= LATENCY_BAR * reference,
        ),
        Row(
            "commit to viewer, NATS, p99",
            quantile(took["NATS"], 0.99),
            "ms",
            quantile(took["ZeroMQ"], 0.99),
            "ZeroMQ",
        ),
    ]


class _OnNats(Partyline):
    def __init__(self, server: NatsServer) -> None:
        super().__init__(**_on_nats(server))
        self._port = server.port

    def bus(self) -> BusBridge:
        return BusBridge(self._port, self._epoch)


async def _flood(server: NatsServer, quick: bool) -> list[Row]:
    rounds, seconds = (1, 1.0) if quick else (3, 3.0)
    figures: dict[str, tuple[list[float], list[float]]] = {}
    for ours in (Partyline(), _OnNats(server)):
        async with ours:
            viewers = await asyncio.to_thread(ours.connect, 1)
            publisher = ours.bus() if isinstance(ours, _OnNats) else ours.publisher()
            rates, costs = figures[type(ours).__name__] = [], []
            for turn in range(rounds + 1):
                used, done = cpu_seconds(ours), viewers.deliveries
                length = seconds if turn else seconds / 4  # the first only warms up
                took = await asyncio.to_thread(flood, publisher, viewers, length)
                done = viewers.deliveries - done
                if turn:
                    rates.append(done / took)
                    costs.append((cpu_seconds(ours) - used) / done * 1e6)
            viewers.close()
            publisher.close()
    (zmq_rates, zmq_costs), (rates, costs) = figures["Partyline"], figures["_OnNats"]
    each = median(costs)
    return [
        Row(
            "CPU of ws_node per message off the bus, 1 viewer",
            each,
            "µs",
            median(zmq_costs),
            "ZeroMQ",
            f"≤ {CPU_BAR_US:.0f} µs",
            each <= CPU_BAR_US,
        ),
        Row(
            "messages/s off the bus to 1 viewer",
            median(rates),
            "/s",
            median(zmq_rates),
            "ZeroMQ",
        ),
    ]


async def _others(server: NatsServer, quick: bool) -> list[Row]:
    """In turns, with the others busy and at the same pace without: so both have idle costs."""
    busy, rounds, turns = (1_000, 20, 2) if quick else (10_000, 50, 3)
    shown = tuple(f"room-{number}" for number in range(SHOWN))
    others = tuple(f"room-{number}" for number in range(SHOWN, busy))
    found: list[list[float]] = [[], []]
    async with _OnNats(server) as ours:
        viewers = await asyncio.to_thread(ours.connect, SHOWN, shown)
        bus, pace = ours.bus(), 0.0

        def send_all() -> None:
            bus.send_each(shown)
            bus.send_each(others)

        def send_shown() -> None:
            bus.send_each(shown)
            time.sleep(pace)

        for turn in range(turns + 1):
            for send, costs in zip((send_all, send_shown), found, strict=True):
                used, begin = _cpu_ns(ours), time.perf_counter()
                await asyncio.to_thread(deliver, viewers, send, rounds)
                if send is send_all:
                    pace = (time.perf_counter() - begin) / rounds
                if turn:
                    costs.append((_cpu_ns(ours) - used) / (rounds * SHOWN) / 1e3)
        viewers.close()
        bus.close()
    among, alone = map(median, found)
    return [
        Row(
            f"CPU per delivery, {SHOWN} sessions shown of {busy:,} busy",
            among,
            "µs",
            alone,
            f"of {SHOWN}",
            f"≤ {OTHERS_BAR:.0f} x",
            among <= OTHERS_BAR * alone,
        )
    ]


def _cpu_ns(ours: Partyline) -> int:
    """CPU time of ws_node, finer than the clock ticks that `cpu_seconds` counts."""
    tasks = Path(f"/proc/{ours.process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
