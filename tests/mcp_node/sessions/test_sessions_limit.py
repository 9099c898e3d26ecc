"""How many sessions a principal may make: its own count, in the transaction that makes them."""

import asyncio
from pathlib import Path

import pytest
from fastmcp.exceptions import ToolError

from mcp_node.services import make_services
from proto.errors import RateLimited
from proto.messages import Principal
from proto.settings import load_settings
from tests.mcp_node.making import opened
from tests.pair import Pair

WRITER = frozenset({"read", "write"})
MAKER = Principal("maker", "claude", WRITER, token_id="t1")
ADMIN = Principal("root", "ops", WRITER | {"admin"}, token_id="t2")


@pytest.mark.parametrize("maker", [MAKER, ADMIN])
async def test_at_once_or_one_by_one_no_more_are_made(tmp_path: Path, maker: Principal) -> None:
    settings = load_settings(data_dir=tmp_path, max_sessions_per_principal=3)
    async with opened(tmp_path, max_sessions_per_principal=3) as store:
        rooms = make_services(store, settings).sessions
        tried = [rooms.create_session(maker, "p", f"room-{n}") for n in range(6)]
        results = await asyncio.gather(*tried, return_exceptions=True)
        assert [isinstance(result, RateLimited) for result in results] == [False] * 3 + [True] * 3
        assert (await rooms.create_session(maker, "p", "room-1"))["created"] is False
        other = Principal("other", "claude", WRITER, token_id="t3")
        assert (await rooms.create_session(other, "p", "others"))["created"] is True
        assert (await rooms.create_session(maker, "p", "others"))["created"] is False


async def test_where_nobody_is_verified_there_is_no_such_limit(tmp_path: Path) -> None:
    async with opened(tmp_path, max_sessions_per_principal=1, auth="off") as store:
        rooms = make_services(store, load_settings(data_dir=tmp_path, auth="off")).sessions
        for n in range(3):
            await rooms.create_session(Principal("anonymous", "anonymous", WRITER), "p", f"r{n}")


async def test_tools_and_rest_say_what_to_do(tmp_path: Path) -> None:
    async with Pair(tmp_path, start=("mcp",), MAX_SESSIONS_PER_PRINCIPAL=1) as pair:
        async with pair.agent() as agent:
            await agent.call_tool("create_session", {"purpose": "p", "session_id": "mine"})
            with pytest.raises(ToolError, match=r"RATE_LIMITED.*list_sessions"):
                await agent.call_tool("create_session", {"purpose": "p"})
            again = await agent.call_tool("create_session", {"purpose": "p", "session_id": "mine"})
            assert again.structured_content["created"] is False
        async with pair.rest() as rest:
            refused = await rest.post("/api/sessions", json={"purpose": "p"})
            assert refused.status_code == 429
            assert "MAX_SESSIONS_PER_PRINCIPAL" in refused.json()["error"]["next_step"]
            found = await rest.post("/api/sessions", json={"purpose": "p", "session_id": "mine"})
            assert found.status_code == 200
