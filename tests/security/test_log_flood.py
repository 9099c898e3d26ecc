"""A peer that sends no HTTP, again and again: the log does not grow with it."""

import asyncio
import time
from pathlib import Path

import pytest

from serving.process.logs import LINES_AT_ONCE, LINES_PER_SECOND
from tests.pair import Pair

REQUESTS = 300


async def nonsense(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"NONSENSE\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()


@pytest.mark.parametrize("name", ["mcp", "ws"])
async def test_malformed_requests_write_few_lines(tmp_path: Path, name: str) -> None:
    async with Pair(tmp_path, start=(name,)) as pair:
        node = getattr(pair, name)
        port = pair.mcp_port if name == "mcp" else pair.ws_port
        begin = time.monotonic()
        for _ in range(REQUESTS):
            await nonsense(port)
        most = LINES_AT_ONCE + LINES_PER_SECOND * (time.monotonic() - begin + 1)
        said = [line for line in node.output().splitlines() if "Invalid HTTP request" in line]
        assert 1 <= len(said) <= most
