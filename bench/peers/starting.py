"""Starting ours and the peers together; who is missing is left out, and said so."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from bench.peers.interface import Missing, Server


@asynccontextmanager
async def started(servers: Sequence[Server]) -> AsyncIterator[list[Server]]:
    """Those that could be started."""
    async with AsyncExitStack() as stack:
        running = []
        for server in servers:
            try:
                running.append(await stack.enter_async_context(server))
            except Missing as error:
                print(f"  skipped: {error}", file=sys.stderr, flush=True)
        yield running
