"""The servers that the suite and the clients are let loose on: real processes, on free ports."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.pair import Pair


@contextlib.asynccontextmanager
async def extended_node(directory: Path) -> AsyncIterator[str]:
    """The MCP URL of mcp_node with the suite's fixtures, without tokens: the suite has none."""
    pair = Pair(directory, auth="off", start=("mcp",))
    pair.mcp.module = "tests.conformance.server"
    async with pair:
        yield f"{pair.mcp_url}/mcp"
