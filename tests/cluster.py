"""Two pairs of nodes over one PostgreSQL database and one nats-server, as on two machines.

Each pair has a data directory of its own, with the same keys.
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from proto import keyfile
from tests import postgres
from tests.nats_server import NatsServer
from tests.node_process import Node
from tests.pair import Pair


class Cluster:
    """Both pairs, running.

    Attributes:
        pairs: the two; either makes tokens that are valid on both.
        nats: the bus.
    """

    def __init__(self, pairs: tuple[Pair, Pair], nats: NatsServer) -> None:
        self.pairs = pairs
        self.nats = nats

    @property
    def mcp_nodes(self) -> list[Node]:
        """The mcp_nodes of both."""
        return [pair.mcp for pair in self.pairs]

    @property
    def ws_nodes(self) -> list[Node]:
        """The ws_nodes of both."""
        return [pair.ws for pair in self.pairs]


@contextlib.asynccontextmanager
async def cluster(directory: Path, **settings: str) -> AsyncIterator[Cluster]:
    """Start two pairs; skips without PostgreSQL.

    Args:
        directory: an own one.
        settings: of all nodes, without the prefix.
    """
    store = postgres.store_settings(directory)
    async with NatsServer(directory) as nats, contextlib.AsyncExitStack() as stack:
        made = [
            Pair(
                directory / name,
                BRIDGE="nats",
                STORE=store["store"],
                STORE_SCHEMA=store["store_schema"],
                NATS_URL=nats.address,
                mcp_settings=nats.nkey("mcp_node"),
                ws_settings=nats.nkey("ws_node"),
                **settings,
            )
            for name in ("first", "second")
        ]
        first, second = made
        keyfile.copy_keys(first.data_dir, second.data_dir)
        for pair in made:
            await stack.enter_async_context(pair)
        yield Cluster((first, second), nats)
