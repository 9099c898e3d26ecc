"""Several real pairs of nodes on one PostgreSQL and one nats-server.

::

    async with Cluster(tmp_path, store=server.address, nats=nats_server) as cluster:
        first, second = cluster.pairs
"""

import asyncio
import copy
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Self

import pytest

from proto import keyfile
from tests import nats_server, postgres
from tests.nats_server import NatsServer
from tests.pair import Pair

KEYS: Final = ("signing.pub", "bridge.key", "digests.key")
"""The keys that all nodes need. The first pair signs tokens; the others have a key directory."""

needed = pytest.mark.skipif(
    postgres.binaries() is None or nats_server.PROGRAM is None,
    reason="PostgreSQL or nats-server is missing (Debian: apt install postgresql nats-server)",
)
"""Marks what needs both servers."""


class Cluster:
    """The pairs, started on entry and ended on exit. Each has a data directory of its own.

    Args:
        directory: for the pairs' directories.
        store, store_schema: where PostgreSQL is, and the schema of the tables.
        nats: the server, running.
        count: how many pairs.
        keys: which of the first pair's keys the others get.
        settings: of all nodes, without the prefix.
    """

    def __init__(
        self,
        directory: Path,
        *,
        store: str,
        nats: NatsServer,
        store_schema: str = "partyline",
        count: int = 2,
        keys: tuple[str, ...] = KEYS,
        **settings: Any,
    ) -> None:
        common = {"BRIDGE": "nats", "STORE": store, "STORE_SCHEMA": store_schema, **settings}
        self.pairs = [
            Pair(
                directory / f"pair-{number}",
                mcp_settings={"NATS_URL": nats.url("mcp_node")},
                ws_settings={"NATS_URL": nats.url("ws_node")},
                **common,
            )
            for number in range(count)
        ]
        for pair in self.pairs[1:]:
            pair.signing_dir = self.pairs[0].data_dir
            for node in (pair.mcp, pair.ws):
                node.environment["PARTYLINE_KEY_DIR"] = str(pair.data_dir.parent / "keys")
        for pair in self.pairs:  # for commands
            pair.environment["PARTYLINE_NATS_URL"] = nats.url("mcp_node")
        self._keys = keys
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        first = keyfile.open_data_dir(self.pairs[0].data_dir)
        for make in (keyfile.public_key, keyfile.bridge_key, keyfile.digests_key):
            make(first)
        for pair in self.pairs[1:]:
            key_dir = pair.data_dir.parent / "keys"
            key_dir.mkdir(mode=0o700)
            for name in self._keys:
                shutil.copy2(first / name, key_dir / name)
        entering = [asyncio.create_task(pair.__aenter__()) for pair in self.pairs]
        try:
            for pair, entered in zip(self.pairs, entering, strict=True):
                await entered
                self._stack.push_async_exit(pair)
        except BaseException:
            await asyncio.gather(*entering, return_exceptions=True)
            await self._stack.aclose()
            raise
        return self

    def crossed(self) -> Pair:
        """A pair of nodes that are no pair: agents use the first mcp_node, viewers the second
        ws_node, so that everything between them crosses the cluster."""
        crossed = copy.copy(self.pairs[0])
        crossed.ws = self.pairs[1].ws
        return crossed

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.__aexit__(*error)
