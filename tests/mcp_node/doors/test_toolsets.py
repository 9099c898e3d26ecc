"""Sets of tools: what a caller is shown and may call, by address, token and setting."""

from typing import Any

import httpx
import pytest
from fastmcp import Client

from mcp_node.doors.mcp.toolsets import toolsets_of_address
from proto import keyfile
from proto.errors import InvalidInput
from proto.tokens import sign_principal
from tests.pair import Pair

MEMORY = {"set_memory", "get_memory", "list_memory", "delete_memory"}
MODERATION = {"close_session", "update_session"}


def token(pair: Pair, *toolsets: str) -> str:
    return sign_principal(
        keyfile.signing_key(keyfile.open_data_dir(pair.data_dir)),
        agent_id="alice",
        agent_type="claude",
        scopes=["read", "write"],
        sessions=None,
        lifetime_seconds=600,
        toolsets=toolsets or None,
    )


async def shown(pair: Pair, mode: str, query: str, *toolsets: str) -> set[str]:
    """The names that are listed; those of other sets are refused as an unknown tool is."""
    url = f"{pair.mcp_url}/mcp{query}"
    async with Client(url, auth=token(pair, *toolsets), mode=mode) as client:
        listed = {tool.name for tool in await client.list_tools()}
        unknown = await refusal(client, "no_such_tool")
        assert unknown is not None
        assert unknown.startswith("INVALID_INPUT: There is no such tool.")
        called = await refusal(client, "list_memory")
        assert (called == unknown) is ("list_memory" not in listed)
        assert (called is None) is ("list_memory" in listed)
        return listed


async def refusal(client: Client[Any], tool: str) -> str | None:
    answer = await client.call_tool(tool, {}, raise_on_error=False)
    return str(answer.content[0].text) if answer.is_error else None


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_address_prevails_over_the_token_and_that_over_the_setting(mode: str) -> None:
    async with Pair(start=("mcp",), TOOLSETS="core") as pair:
        core = await shown(pair, mode, "")
        assert {"add_message", "get_messages", "wait_for_messages"} <= core
        assert not core & (MEMORY | MODERATION)
        assert await shown(pair, mode, "", "core", "memory") == core | MEMORY
        assert await shown(pair, mode, "", "memory") == MEMORY
        by_address = await shown(pair, mode, "?tools=core,moderation", "memory")
        assert by_address == core | MODERATION
        assert await shown(pair, mode, "?tools=memory&tools=moderation") == MEMORY | MODERATION


async def test_the_setting_is_for_those_who_name_nothing() -> None:
    async with Pair(start=("mcp",), TOOLSETS="memory, moderation") as pair:
        assert await shown(pair, "auto", "") == MEMORY | MODERATION
        assert not await shown(pair, "auto", "?tools=core") & MEMORY


async def test_an_address_with_an_unknown_set_is_refused() -> None:
    async with Pair(start=("mcp",)) as pair, httpx.AsyncClient(trust_env=False) as client:
        headers = {"Authorization": f"Bearer {token(pair)}", "Accept": "application/json"}
        for query in ("tools=core,hunter2", "tools=", "tools=core&tools=x"):
            answer = await client.post(f"{pair.mcp_url}/mcp?{query}", json={}, headers=headers)
            assert answer.status_code == 400, query
            message = answer.json()["error"]["message"]
            assert message.startswith("INVALID_INPUT: tools in the address must be one or more of")
            assert "hunter2" not in message


@pytest.mark.parametrize("query", [b"", b"other=1", b"tool=core"])
def test_an_address_that_names_no_sets(query: bytes) -> None:
    assert toolsets_of_address(query) is None


@pytest.mark.parametrize(
    "query", [b"tools", b"tools=,", b"tools=CORE", b"tools=\xff", b"&".join([b"a=1"] * 30)]
)
def test_a_malformed_address(query: bytes) -> None:
    with pytest.raises(InvalidInput):
        toolsets_of_address(query)


def test_a_comma_may_be_escaped() -> None:
    assert toolsets_of_address(b"tools=core%2Cmemory") == {"core", "memory"}
