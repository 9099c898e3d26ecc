"""1,000 viewers of one session on two ws_nodes over NATS, beside 1,000 on one.

Two deployments with a nats-server each take turns. First a steady rate: whether every viewer got
every message, the latency from the bus to a viewer, and the CPU time of the ws_nodes and of
nats-server. Then as many messages as possible. Everything shares the machine's cores, so with two
of them a second ws_node cannot make more deliveries. It costs CPU time, because each of the two
takes every message off the bus, and has fewer messages to write at once.
"""

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack, ExitStack, closing
from functools import partial
from pathlib import Path
from shutil import copy2

import psutil  # type: ignore[import-untyped]

from bench.bridge import FRAME_BYTES
from bench.bus import BusBridge
from bench.measured_pair import SESSION, allow_open_files, process
from bench.measurements.most_deliveries import flood
from bench.partyline import Partyline
from bench.row import Row, median
from bench.stalled import LastingViewers
from bench.steady import SteadyLoad, steady_load
from bench.viewer_group import Viewers, quantile_ms
from bench.viewers import connect, handshake
from proto import keyfile
from tests.integration.rooms import readiness
from tests.nats_server import PROGRAM, NatsServer
from tests.node_process import Node
from tests.waiting import until

RATE = 20
WARM_UP = 20


class OnNats(Partyline):
    """ws_nodes behind a nats-server to which the bench publishes in mcp_node's place.

    Args:
        server: running.
        directory: for the second ws_node.
        nodes: one or two ws_nodes.
    """

    def __init__(self, server: NatsServer, directory: Path, nodes: int) -> None:
        super().__init__(
            BRIDGE="nats",
            mcp_settings=server.nkey("mcp_node") | {"SIGNED_REQUESTS": "true"},
            ws_settings=server.nkey("ws_node"),
        )
        self.name = "one ws_node" if nodes == 1 else "two ws_nodes"
        self.nats = psutil.Process(server.pid)
        self._port = server.port
        self._nodes = [self.pair.ws]
        if nodes == 2:
            environment = self.pair.ws.environment | {"PARTYLINE_DATA_DIR": str(directory / "data")}
            self._nodes.append(Node("ws", environment, directory / "second.log"))

    async def __aenter__(self) -> "OnNats":
        await super().__aenter__()
        try:
            for node in self._nodes[1:]:
                data_dir = Path(node.environment["PARTYLINE_DATA_DIR"])
                keyfile.open_data_dir(data_dir)
                for name in ("signing.pub", "bridge.key"):
                    copy2(self.pair.data_dir / name, data_dir / name)
                node.environment["PARTYLINE_MCP_URL"] = self.pair.mcp_url
                await node.start()
            for node in self._nodes:
                await until(partial(_ready, node))
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        for node in self._nodes[1:]:
            node.end()
        await super().__aexit__(*error)

    @property
    def publishing(self) -> tuple[object, ...]:
        return ("bus", self._port, self._epoch)

    def connect(self, count: int, sessions: tuple[str, ...] = (SESSION,)) -> Viewers:
        """So many viewers of the first session, half of them on each ws_node."""
        sockets = []
        for number, node in enumerate(self._nodes):
            mine = range(number, count, len(self._nodes))
            tokens = [self.pair.token(f"viewer-{viewer}") for viewer in mine]
            requests = [handshake(node.port, sessions[0], token) for token in tokens]
            sockets += connect(node.port, requests)
        return LastingViewers(sockets, FRAME_BYTES)

    def bus(self, sent: int) -> BusBridge:
        """A publisher in this process, that continues after so many messages."""
        return BusBridge(self._port, self._epoch, sent)

    def cpu(self) -> tuple[float, float]:
        """CPU seconds of all ws_nodes, and of nats-server."""
        return sum(_seconds(process(node)) for node in self._nodes), _seconds(self.nats)


async def _ready(node: Node) -> bool:
    return (await readiness(node.url))[1].get("status") == "ready"


def _seconds(of: psutil.Process) -> float:
    used = of.cpu_times()
    return float(used.user + used.system)


async def measure(quick: bool) -> list[Row]:
    """A row for each figure, two ws_nodes beside one."""
    if PROGRAM is None:
        print("no rows for two ws_nodes: nats-server is not installed", file=sys.stderr)
        return []
    allow_open_files()
    count, turns, seconds = (100, 1, 3) if quick else (1_000, 2, 8)
    async with AsyncExitStack() as stack:
        stands: list[OnNats] = []
        for nodes in (1, 2):
            found = stack.enter_context(tempfile.TemporaryDirectory(prefix="pl-"))
            directory = Path(found)
            server = await stack.enter_async_context(NatsServer(directory))
            stands.append(await stack.enter_async_context(OnNats(server, directory, nodes)))
        loads = [await steady_load(stack, stand, count) for stand in stands]
        rows = await _steady(stands, loads, turns, seconds)
        return [*rows, *await _most(stands, loads, turns, 0.5 if quick else 2.0)]


async def _steady(
    stands: list[OnNats], loads: list[SteadyLoad], turns: int, seconds: int
) -> list[Row]:
    name = f"{loads[0].viewers.count:,} viewers x {RATE} msg/s over NATS"
    used = [[0.0, 0.0] for _ in stands]
    for _ in range(turns):
        for stand, load, sums in zip(stands, loads, used, strict=True):
            before = stand.cpu()
            if not await load.run(RATE * seconds, RATE):
                raise TimeoutError(f"{stand.name} did not deliver in time")
            for place, (after, was) in enumerate(zip(stand.cpu(), before, strict=True)):
                sums[place] += after - was
    one, two = [await _figures(*each) for each in zip(loads, used, strict=True)]
    delivered = [load.share for load in loads]
    rows = [
        Row(
            f"{name}, two ws_nodes, delivered",
            delivered[1],
            "%",
            delivered[0],
            "one",
            "100 %",
            delivered[1] == 100,
        )
    ]
    units = {"p50": "ms", "p99": "ms", "CPU of ws_nodes per delivery": "µs"}
    rows += [
        Row(f"{name}, two ws_nodes, {what}", two[what], unit, one[what], "one")
        for what, unit in units.items()
    ]
    what = "CPU of nats-server per message"
    return [*rows, Row(f"{name}, two ws_nodes, {what}", two[what], "µs", one[what], "one")]


async def _figures(load: SteadyLoad, used: list[float]) -> dict[str, float]:
    latencies = await load.latencies(WARM_UP)
    ws, nats = used
    return {
        "p50": quantile_ms(latencies, 0.5),
        "p99": quantile_ms(latencies, 0.99),
        "CPU of ws_nodes per delivery": ws / load.viewers.deliveries * 1e6,
        "CPU of nats-server per message": nats / load.due * 1e6,
    }


async def _most(
    stands: list[OnNats], loads: list[SteadyLoad], turns: int, seconds: float
) -> list[Row]:
    """With the same viewers, and a publisher that continues where the steady one ended."""
    figures: list[dict[str, list[float]]] = [{"rate": [], "ws": [], "nats": []} for _ in stands]
    with ExitStack() as stack:
        buses = [
            stack.enter_context(closing(stand.bus(load.due)))
            for stand, load in zip(stands, loads, strict=True)
        ]
        for turn in range(turns + 1):
            for stand, load, bus, found in zip(stands, loads, buses, figures, strict=True):
                viewers, before = load.viewers, stand.cpu()
                done, sent = viewers.deliveries, bus.sent
                length = seconds if turn else seconds / 4  # the first only warms up
                took = await asyncio.to_thread(flood, bus, viewers, length)
                done, sent = viewers.deliveries - done, bus.sent - sent
                ws, nats = (after - was for after, was in zip(stand.cpu(), before, strict=True))
                if turn:
                    found["rate"].append(done / took)
                    found["ws"].append(ws / done * 1e6)
                    found["nats"].append(nats / sent * 1e6)
    one, two = ({name: median(values) for name, values in found.items()} for found in figures)
    count = loads[0].viewers.count
    name = f"as many as possible to {count:,} viewers over NATS, two ws_nodes"
    return [
        Row(f"{name}, deliveries/s", two["rate"], "/s", one["rate"], "one"),
        Row(
            f"{name}, CPU of ws_nodes per delivery",
            two["ws"],
            "µs",
            one["ws"],
            "one",
        ),
        Row(f"{name}, CPU of nats-server per message", two["nats"], "µs", one["nats"], "one"),
    ]
