"""Our server with the suite's fixtures on it: what is ours still answers as ours."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from mcp import MCPError
from mcp.client.subscriptions import listen

from tests.conformance.fixtures_changes import WATCHED
from tests.conformance.stand import extended_node

MODES = ["auto", "legacy"]


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with extended_node(tmp_path) as url:
        yield url


async def test_our_tools_are_beside_the_suites_in_both_eras(url: str) -> None:
    for mode in MODES:
        async with Client(url, mode=mode) as client:
            names = {tool.name for tool in await client.list_tools()}
            assert {"create_session", "get_messages", "test_simple_text"} <= names
            made = await client.call_tool("create_session", {"purpose": "both"})
            assert made.structured_content and made.structured_content["created"] is True
            said = await client.call_tool("test_simple_text")
            assert said.data == "This is a simple text response for testing."


@pytest.mark.filterwarnings("ignore:resources/subscribe is removed")
async def test_only_the_watched_resource_may_be_subscribed_to_besides_sessions(url: str) -> None:
    async with Client(url, mode="legacy") as client:
        await client.session.subscribe_resource(WATCHED)
        with pytest.raises(MCPError, match="INVALID_INPUT"):
            await client.session.subscribe_resource("test://static-text")


async def test_a_changed_list_is_told_over_our_own_listen_stream(url: str) -> None:
    async with Client(url) as client:
        session_id = await new_session(client)
        uri = f"session://{session_id}/messages"
        async with (
            listen(client.session, tools_list_changed=True, resource_subscriptions=[uri]) as told,
            asyncio.timeout(10),
        ):
            await client.call_tool("test_trigger_prompt_change")  # nobody asked for it
            await client.call_tool("test_trigger_tool_change")
            assert type(await anext(told)).__name__ == "ToolsListChanged"
            await client.call_tool("add_message", {"session_id": session_id, "content": "x"})
            assert (await anext(told)).uri == uri  # type: ignore[union-attr]


async def new_session(client: Client[Any]) -> str:
    made = await client.call_tool("create_session", {"purpose": "x"})
    assert made.structured_content is not None
    return str(made.structured_content["session_id"])
