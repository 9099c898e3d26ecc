"""Memory over real MCP: kept over a restart, gone when its time is, and nobody else's."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError
from mcp import MCPError

from tests.pair import Pair
from tests.waiting import until

ERAS = ["auto", "legacy"]
URI = "agent://me/memory"
VALUES: list[Any] = ["123", "null", '{"a": 1}', "[1]", "", 1, 1.0, True, None, [], {"a": {"é": 0}}]


@pytest.fixture
def alice(name: str) -> str:
    """An agent who remembers nothing yet."""
    return f"alice-{name}"


async def call(agent: Client[Any], tool: str, **arguments: Any) -> dict[str, Any]:
    result = (await agent.call_tool(tool, arguments)).structured_content
    assert result is not None
    return result


async def failure(agent: Client[Any], tool: str, **arguments: Any) -> str:
    with pytest.raises(ToolError) as failed:
        await agent.call_tool(tool, arguments)
    return str(failed.value)


async def resource(agent: Client[Any]) -> dict[str, Any]:
    (content,) = await agent.read_resource(URI)
    assert content.mime_type == "application/json"
    decoded = json.loads(content.text)
    assert isinstance(decoded, dict)
    return decoded


async def everything_about(agent: Client[Any], key: str, session: str) -> list[Any]:
    """All that an agent can learn about a key."""
    return [
        await failure(agent, "get_memory", key=key),
        await failure(agent, "get_memory", key=key, session_id=session),
        await call(agent, "list_memory"),
        await call(agent, "list_memory", prefix=key[:3]),
        await call(agent, "list_memory", session_id=session),
        await call(agent, "delete_memory", key=key),
        await call(agent, "delete_memory", key=key, session_id=session),
        await resource(agent),
    ]


@pytest.mark.parametrize("era", ERAS)
async def test_values_of_every_kind_come_back_as_they_were(
    pair: Pair, alice: str, era: str
) -> None:
    async with pair.agent(alice, mode=era) as agent:
        for n, value in enumerate(VALUES):
            assert (await call(agent, "set_memory", key=f"k{n:02}", value=value))["created"]
            got = await call(agent, "get_memory", key=f"k{n:02}")
            assert (type(got["value"]), got["value"]) == (type(value), value)
            assert got["untrusted"] is True and "data" in got["notice"]
        listed = await call(agent, "list_memory", prefix="k0", limit=3)
        assert [one["key"] for one in listed["memories"]] == ["k00", "k01", "k02"]
        assert (listed["has_more"], listed["untrusted"]) == (True, True)
        shown = await resource(agent)
        assert [one["value"] for one in shown["memories"]] == VALUES[::-1]
        assert (shown["has_more"], shown["untrusted"]) == (False, True)


@pytest.mark.parametrize("era", ERAS)
async def test_others_cannot_tell_whether_there_is_anything(
    pair: Pair, name: str, alice: str, era: str
) -> None:
    async with (
        pair.agent(alice, mode=era) as agent,
        pair.agent(f"bob-{name}", mode=era) as bob,
        pair.agent(f"root-{name}", mode=era, scopes="read,write,admin") as root,
    ):
        await call(agent, "create_session", purpose="p", session_id=name)
        before = [await everything_about(other, "secret", name) for other in (bob, root)]
        for session in (None, name):
            await call(agent, "set_memory", key="secret", value="mine", session_id=session)
        after = [await everything_about(other, "secret", name) for other in (bob, root)]
        assert after == before
        assert all(answers[0].startswith("MEMORY_NOT_FOUND: ") for answers in after)
        for session in (None, name):
            got = await call(agent, "get_memory", key="secret", session_id=session)
            assert got["value"] == "mine"
        async with pair.agent(alice, kind="codex", mode=era) as again:
            assert len((await resource(again))["memories"]) == 2


async def test_a_session_outside_the_token_answers_like_none(
    pair: Pair, name: str, alice: str
) -> None:
    async with pair.agent(alice) as agent:
        await call(agent, "create_session", purpose="p", session_id=name)
        await call(agent, "set_memory", key="k", value="mine", session_id=name)
    async with pair.agent(alice, sessions=["other"]) as elsewhere:
        for tool, arguments in (
            ("get_memory", {"key": "k"}),
            ("delete_memory", {"key": "k"}),
            ("list_memory", {}),
            ("set_memory", {"key": "k", "value": 1}),
        ):
            there = await failure(elsewhere, tool, session_id=name, **arguments)
            nowhere = await failure(elsewhere, tool, session_id="nowhere", **arguments)
            unmade = await failure(elsewhere, tool, session_id="other", **arguments)
            assert there == nowhere == unmade
            assert there.startswith("SESSION_NOT_FOUND: ")
        assert (await resource(elsewhere))["memories"] == []


async def test_memory_is_there_after_a_restart_and_a_kill(killable: Pair, alice: str) -> None:
    async with killable.agent(alice) as agent:
        await call(agent, "set_memory", key="k", value={"step": 3}, expires_in="7d")
    killable.mcp.kill()
    await killable.mcp.start()
    async with killable.agent(alice) as agent:
        assert (await call(agent, "get_memory", key="k"))["value"] == {"step": 3}
        assert (await failure(agent, "set_memory", key="k", value=1, overwrite=False)).startswith(
            "MEMORY_EXISTS: "
        )
        assert (await killable.mcp.stop())[0] == 0
    await killable.mcp.start()
    async with killable.agent(alice) as agent:
        assert (await call(agent, "delete_memory", key="k")) == {"deleted": True}
        assert (await call(agent, "delete_memory", key="k")) == {"deleted": False}


@pytest.mark.sqlite
async def test_what_expires_is_gone_and_then_swept(pair: Pair, alice: str) -> None:
    async with pair.agent(alice) as agent:
        await call(agent, "set_memory", key="short", value="x", expires_in="1s")
        await call(agent, "set_memory", key="long", value="y", expires_in=3_600)
        await until(lambda: gone(agent, "short"))
        listed = (await call(agent, "list_memory"))["memories"]
        assert [one["key"] for one in listed] == ["long"]
        assert [one["key"] for one in (await resource(agent))["memories"]] == ["long"]
        await until(lambda: stored(pair, alice) == ["long"])


async def gone(agent: Client[Any], key: str) -> bool:
    result = await agent.call_tool("get_memory", {"key": key}, raise_on_error=False)
    if result.is_error:
        assert result.content[0].text.startswith("MEMORY_NOT_FOUND: ")
    return result.is_error


def stored(pair: Pair, agent: str) -> list[str]:
    """The keys of an agent's rows, swept or not."""
    with closing(sqlite3.connect(f"file:{pair.data_dir}/partyline.db?mode=ro", uri=True)) as rows:
        found = rows.execute("SELECT key FROM memory WHERE principal = ?", (agent,))
        return [key for (key,) in found]


@pytest.mark.parametrize("era", ERAS)
async def test_without_a_token_there_is_no_memory(open_pair: Pair, alice: str, era: str) -> None:
    url = f"{open_pair.mcp_url}/mcp"
    async with Client(url, auth=open_pair.token(alice), mode=era) as agent:
        await call(agent, "set_memory", key="k", value="mine")
        assert len((await resource(agent))["memories"]) == 1
        assert await listed(agent) == [URI]
    said = {"X-Partyline-Agent": alice, "X-Partyline-Agent-Type": "claude"}
    for headers in ({}, said):
        transport = StreamableHttpTransport(url, headers=headers)
        async with Client(transport, mode=era) as nobody:
            for tool, arguments in (
                ("get_memory", {"key": "k"}),
                ("delete_memory", {"key": "k"}),
                ("list_memory", {}),
                ("set_memory", {"key": "k", "value": 1}),
            ):
                assert (await failure(nobody, tool, **arguments)).startswith("FORBIDDEN: ")
            with pytest.raises(MCPError, match="FORBIDDEN: Only agents with a token"):
                await nobody.read_resource(URI)
            assert await listed(nobody) == []
    async with Client(url, auth=open_pair.token(alice), mode=era) as agent:
        assert (await call(agent, "get_memory", key="k"))["value"] == "mine"


async def listed(client: Client[Any]) -> list[str]:
    return [str(resource.uri) for resource in await client.list_resources()]


async def test_refusals_of_full_memory_say_what_to_do(tmp_path: Path) -> None:
    limits = {"MAX_MEMORY_ENTRIES_PER_PRINCIPAL": 2, "MAX_MEMORY_VALUE_BYTES": 10}
    async with Pair(tmp_path, start=("mcp",), **limits) as pair, pair.agent() as agent:
        for n in range(2):
            await call(agent, "set_memory", key=f"k{n}", value=n)
        full = await failure(agent, "set_memory", key="k2", value=2)
        assert full.startswith("RATE_LIMITED: ") and "list_memory" in full
        large = await failure(agent, "set_memory", key="k0", value="123456789")
        assert large.startswith("TOO_LARGE: ") and "several keys" in large
        async with pair.agent("bob") as bob:
            await call(bob, "set_memory", key="k2", value=2)
