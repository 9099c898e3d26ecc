"""A wait on another node: each message is heard once, after its commit, on either node."""

import asyncio
from pathlib import Path

from bench.measurements.wait_on_another_node import hear
from tests import cluster, postgres
from tests.nats_server import NatsServer


@cluster.needed
async def test_messages_are_heard_on_both_nodes_after_their_commit(tmp_path: Path) -> None:
    address, schema = await asyncio.to_thread(lambda: postgres.store_settings(tmp_path).values())
    async with NatsServer(tmp_path) as nats:
        other, same = await hear(tmp_path, address, nats, 3, schema)
    for took in (other, same):
        assert len(took) == 3
        assert all(0 < milliseconds < 9_000 for milliseconds in took)
