"""The schema lookup: a modern tools/call must not run a whole tools/list first.

It reaches into a private attribute of the pinned mcp release; this is the test that holds it.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.middleware import Middleware
from fastmcp.utilities.tests import asgi_server

from mcp_node.doors.mcp.server import install_schema_lookup, make_server
from mcp_node.services import make_services
from proto.keyfile import open_data_dir, public_key
from proto.settings import load_settings
from proto.tokens import PrincipalVerifier
from proto.toolsets import TOOLSETS, Toolset
from serving.http.identity import Identity
from tests.mcp_node.making import opened


class Count(Middleware):
    def __init__(self) -> None:
        self.methods: Counter[str | None] = Counter()

    async def on_request(self, context: Any, call_next: Any) -> Any:
        self.methods[context.method] += 1
        return await call_next(context)


@asynccontextmanager
async def server(data_dir: Path, toolsets: Iterable[Toolset] = TOOLSETS) -> AsyncIterator[FastMCP]:
    key = public_key(open_data_dir(data_dir))
    identity = Identity(PrincipalVerifier(key), auth_off=True)
    async with opened(data_dir) as store:
        services = make_services(store, load_settings(data_dir=data_dir))
        yield make_server(services, identity, frozenset(toolsets))


async def listings(mcp: FastMCP, *, mode: str, calls: int) -> int:
    """How often the tools were listed during so many calls."""
    count = Count()
    mcp.add_middleware(count)
    async with asgi_server(mcp) as running, running.client(mode=mode) as client:
        before = count.methods["tools/list"]
        for n in range(calls):
            await client.call_tool("create_session", {"purpose": "p", "session_id": f"s{n}"})
        assert count.methods["tools/call"] == calls
        return count.methods["tools/list"] - before


async def test_without_schema_lookup_every_modern_call_lists_the_tools(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as mcp:
        assert await listings(mcp, mode="auto", calls=3) >= 3


async def test_with_schema_lookup_no_call_lists_the_tools(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as mcp:
        await install_schema_lookup(mcp)
        assert await listings(mcp, mode="auto", calls=3) <= 1  # the client's own, for its cache


async def test_the_lookup_knows_what_the_list_says(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as mcp:
        await install_schema_lookup(mcp)
        lookup = mcp._mcp_server.get_tool_input_schema
        assert callable(lookup)
        async with asgi_server(mcp) as running, running.client() as client:
            tools = await client.list_tools()
        assert len(tools) >= 5
        for tool in tools:
            assert lookup(tool.name) == tool.input_schema
        assert lookup("no_such_tool") is None
