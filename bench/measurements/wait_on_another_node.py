"""How soon an agent that waits on one mcp_node has what another node committed.

Two nodes on one PostgreSQL, which waits for the disk, and one nats-server. An agent waits alone,
in turn on the node that will commit and on the other one; once it waits, a message is added.
`bench.node` notes when each message's COMMIT returned, on the clock that all processes share.
"""

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from bench.calls import Caller, add_message, answered, callers, request
from bench.measured_pair import SESSION
from bench.row import Row, quantile
from bench.waiters import waiters
from tests import nats_server, postgres
from tests.cluster import Cluster
from tests.nats_server import NatsServer
from tests.pair import Pair
from tests.postgres import PostgresServer
from tests.waiting import until

BAR_MS = 50.0
WARM_UP = 5
WAIT_SECONDS = 10


async def measure(quick: bool) -> list[Row]:
    """Median and p99 on the other node, against the node that commits."""
    if postgres.binaries() is None or nats_server.PROGRAM is None:
        print("no rows for two nodes: PostgreSQL or nats-server is missing", file=sys.stderr)
        return []
    server = await asyncio.to_thread(PostgresServer, durable=True)
    try:
        await asyncio.to_thread(server.start)
        with tempfile.TemporaryDirectory(prefix="pl-") as directory:
            async with NatsServer(Path(directory)) as nats:
                other, same = await hear(
                    Path(directory), server.address, nats, 20 if quick else 200
                )
    finally:
        await asyncio.to_thread(server.remove)
    name = "wait on another node, commit to the result"
    p50, p99 = quantile(other, 0.5), quantile(other, 0.99)
    against = "on the same node"
    return [
        Row(f"{name}, p50", p50, "ms", quantile(same, 0.5), against),
        Row(
            f"{name}, p99",
            p99,
            "ms",
            quantile(same, 0.99),
            against,
            f"≤ {BAR_MS:.0f} ms",
            p99 <= BAR_MS,
        ),
    ]


async def hear(
    directory: Path, store: str, nats: NatsServer, times: int, store_schema: str = "bench"
) -> tuple[list[float], list[float]]:
    """Milliseconds from commit to result, on the other node and on the same."""
    cluster = Cluster(
        directory,
        store=store,
        store_schema=store_schema,
        nats=nats,
        LOG_LEVEL="ERROR",
        MESSAGES_PER_MINUTE=0,
    )
    for pair in cluster.pairs:
        pair.mcp.module = "bench.node"
    heard: tuple[dict[int, int], dict[int, int]] = ({}, {})
    async with cluster, AsyncExitStack() as stack:
        first, second = cluster.pairs
        (speaker,) = await stack.enter_async_context(callers(first, 1))
        (asking,) = await stack.enter_async_context(callers(second, 1))
        nodes = ((second, asking, 1), (first, speaker, 2))
        id_ = 0
        for turn in range(WARM_UP + times):
            for found, (node, caller, agent) in zip(heard, nodes, strict=True):
                async with waiters(node, 1, WAIT_SECONDS, first=agent, after=id_) as (waiter,):
                    await until(partial(_waits, node, caller, agent), every=0.005)
                    id_ = (await answered(speaker, add_message(first)))["message_id"]
                    assert await waiter.outcome == "messages"
                    assert waiter.ids() == [id_]
                if turn >= WARM_UP:
                    found[id_] = waiter.at
        committed = (await answered(speaker, request(first, "commit_times")))["times"]
    began = {id_: at for id_, at, _ in committed}
    other, same = ([(at - began[id_]) / 1e6 for id_, at in found.items()] for found in heard)
    return other, same


async def _waits(node: Pair, asking: Caller, agent: int) -> bool:
    found = await answered(asking, request(node, "list_agents", session_id=SESSION))
    return any(one["waiting"] for one in found["agents"] if one["name"] == f"agent-{agent}")
