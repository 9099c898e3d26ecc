"""A guest cannot fill mcp_node with sessions of MCP's older era."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.pair import Pair
from tests.security.asking import ACCEPT, JSON, LEGACY, ask, legacy_session


def opening(name: str) -> bytes:
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": name, "version": "0"},
    }
    request = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    return json.dumps(request).encode()


def resident_megabytes(pair: Pair) -> float:
    assert pair.mcp.process is not None
    pages = Path(f"/proc/{pair.mcp.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4_096 / 1_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """A mcp_node with few places."""
    limits = {"MAX_MCP_SESSIONS": 5, "MAX_MCP_SESSIONS_PER_PRINCIPAL": 3}
    async with Pair(tmp_path_factory.mktemp("small"), start=("mcp",), **limits) as one:
        yield one


@pytest.mark.asyncio(loop_scope="module")
async def test_sixty_large_initialize_calls_leave_nothing(small: Pair) -> None:
    headers = {**ACCEPT, **JSON, **small.headers("mallory", scopes="read")}
    body = opening("x" * 1_900_000)
    await ask(small.mcp_url, "POST", "/mcp", headers, body)
    before = resident_megabytes(small)
    for _ in range(60):
        answer = await ask(small.mcp_url, "POST", "/mcp", headers, body)
        assert (answer.status, answer.code) == (413, "TOO_LARGE")
    assert resident_megabytes(small) - before < 30


@pytest.mark.asyncio(loop_scope="module")
async def test_one_principal_cannot_take_all(small: Pair) -> None:
    mallory = small.headers("mallory", scopes="read")
    headers = {**ACCEPT, **JSON, **mallory}
    sessions = [await legacy_session(small, mallory) for _ in range(3)]
    for _ in range(20):
        answer = await ask(small.mcp_url, "POST", "/mcp", headers, opening("x"))
        assert (answer.status, answer.code) == (429, "RATE_LIMITED")
    async with small.agent("alice", mode="legacy") as alice:
        assert len(await alice.list_tools()) > 5
    ending = {**LEGACY, **headers, "Mcp-Session-Id": sessions[0]}
    assert (await ask(small.mcp_url, "DELETE", "/mcp", ending)).status == 200
    await legacy_session(small, mallory)
