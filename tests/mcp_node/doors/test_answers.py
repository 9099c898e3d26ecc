"""What an agent reads: nothing that misleads, and nothing that says nothing. Over real MCP."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.utilities.tests import asgi_server

from mcp_node.doors.mcp.tools.results import NOTICE, marked
from tests.mcp_node.doors.test_schema_lookup import server

LEVELS = ["public", "private", "agent_only", "admin_only"]


class Agent:
    """A client of the node under a name."""

    def __init__(self, client: Client[Any]) -> None:
        self._client = client

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = await self._client.call_tool(tool, arguments)
        assert answer.structured_content is not None
        return answer.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        answer = await self._client.call_tool(tool, arguments, raise_on_error=False)
        assert answer.is_error
        return str(answer.content[0].text)

    async def tools(self) -> dict[str, Any]:
        return {tool.name: tool for tool in await self._client.list_tools()}

    async def say(self, content: str, **more: Any) -> dict[str, Any]:
        return await self("add_message", session_id="room", content=content, **more)


@pytest.fixture
async def agents(tmp_path: Path) -> AsyncIterator[tuple[Agent, Agent, Agent]]:
    """Alice, bob and eve; eve is of another type. Alice has made a room."""
    async with (
        server(tmp_path / "data") as mcp,
        asgi_server(mcp) as running,
        AsyncExitStack() as stack,
    ):
        made = []
        for name, kind in (("alice", "claude"), ("bob", "claude"), ("eve", "codex")):
            headers = {"X-Partyline-Agent": name, "X-Partyline-Agent-Type": kind}
            made.append(Agent(await stack.enter_async_context(running.client(headers=headers))))
        alice, bob, eve = made
        await alice("create_session", purpose="to talk", session_id="room")
        yield alice, bob, eve


async def test_a_purpose_that_was_not_used_is_not_passed_over(
    agents: tuple[Agent, Agent, Agent],
) -> None:
    _, bob, _ = agents
    same = await bob("create_session", purpose="to talk", session_id="room")
    assert (same["created"], "not_used" in same) == (False, False)
    other = await bob("create_session", purpose="to deploy", session_id="room")
    assert other["purpose"] == "to talk"
    assert other["not_used"].startswith("The session exists already, so your purpose was not used.")
    both = await bob("create_session", purpose="x", session_id="room", metadata={"a": 1})
    assert "your purpose and metadata were not used" in both["not_used"]
    new = await bob("create_session", purpose="to deploy", session_id="fresh", metadata={"a": 1})
    assert (new["created"], "not_used" in new) == (True, False)


async def test_unread_in_a_list_is_of_rooms_one_has_been_in(
    agents: tuple[Agent, Agent, Agent],
) -> None:
    alice, bob, _ = agents
    await alice.say("one")

    async def listed() -> dict[str, int]:
        sessions = (await bob("list_sessions"))["sessions"]
        return {one["session_id"]: one["unread"] for one in sessions}

    assert await listed() == {"room": 0}
    await bob("search_messages", query="one", session_id="room")  # asks, and leaves no trace
    assert await listed() == {"room": 0}
    await bob("create_session", purpose="to talk", session_id="room")
    assert await listed() == {"room": 1}
    await bob("get_messages", session_id="room")
    await alice.say("two")
    assert await listed() == {"room": 1}


async def test_names_that_reach_nobody_are_named(agents: tuple[Agent, Agent, Agent]) -> None:
    alice, bob, eve = agents
    await bob.say("hello")
    await eve("get_session", session_id="room")
    added = await alice.say("@bob @Eve/helper @adda @alice/reviewer `@code` @adda")
    assert added["unknown_mentions"] == ["adda"]
    assert "unknown_mentions" not in await alice.say("@bob and @eve")
    ours = await alice.say("@bob and @eve", visibility="agent_only")
    assert ours["unknown_mentions"] == ["eve"]
    mine = await alice.say("@bob @alice", visibility="private")
    assert mine["unknown_mentions"] == ["bob"]


async def test_names_known_by_private_words_alone_stay_unknown(
    agents: tuple[Agent, Agent, Agent],
) -> None:
    alice, _, eve = agents
    await eve.say("hush @adda", visibility="private")
    await eve.say("hush", visibility="agent_only")
    listed = await alice("list_agents", session_id="room")
    assert [one["name"] for one in listed["agents"]] == ["alice"]
    assert (await alice.say("@eve @adda"))["unknown_mentions"] == ["eve", "adda"]


async def test_an_argument_that_a_tool_has_not(agents: tuple[Agent, Agent, Agent]) -> None:
    alice, _, _ = agents
    text = await alice.refused("get_session", session="room", hunter2=1)
    assert text == ("INVALID_INPUT: The tool has no such argument. Its arguments are session_id.")
    text = await alice.refused("wait_for_messages", session_id="room", timeout=3)
    assert text.endswith(
        "are session_id, after, timeout_seconds, wanted, thread, sender, settle_seconds."
    )


async def test_visibility_is_an_enum_in_the_schemas(agents: tuple[Agent, Agent, Agent]) -> None:
    alice, _, _ = agents
    tools = await alice.tools()
    assert tools["add_message"].input_schema["properties"]["visibility"]["enum"] == LEVELS
    assert tools["get_messages"].input_schema["properties"]["visibility"]["enum"] == LEVELS
    text = await alice.refused("add_message", session_id="room", content="x", visibility="hunter2")
    assert text.startswith("INVALID_INPUT: visibility") and "agent_only" in text
    assert "hunter2" not in text


async def test_what_says_nothing_is_left_out(agents: tuple[Agent, Agent, Agent]) -> None:
    alice, bob, _ = agents
    nothing = await bob("get_messages", session_id="room")
    assert nothing == {"messages": [], "has_more": False, "unread": 0}
    waited = await bob("wait_for_messages", session_id="room", timeout_seconds=0)
    assert waited == {**nothing, "outcome": "timeout"}
    assert "notice" not in await bob("search_messages", query="nothing")
    first = await alice.say("plain")
    await alice.say("rich", metadata={"a": 1}, parent_message_id=first["message_id"])
    page = await bob("get_messages", session_id="room")
    assert (page["untrusted"], page["notice"]) == (True, NOTICE)
    plain, rich = page["messages"]
    assert set(plain) == {"id", "sender", "sender_type", "content", "visibility", "timestamp"}
    assert (rich["metadata"], rich["parent_message_id"]) == ({"a": 1}, first["message_id"])
    view = await bob("get_session", session_id="room")
    assert "metadata" not in view and view["untrusted"]
    assert "metadata" not in (await bob("list_sessions"))["sessions"][0]
    receipts = await bob("get_receipts", session_id="room", message_id=first["message_id"])
    assert "notice" not in receipts


async def test_a_retry_of_what_was_deleted_says_so(agents: tuple[Agent, Agent, Agent]) -> None:
    alice, _, _ = agents
    first = await alice.say("once", idempotency_key="k")
    assert await alice.say("once", idempotency_key="k") == first
    await alice("delete_message", session_id="room", message_id=first["message_id"])
    assert await alice.say("once", idempotency_key="k") == {**first, "deleted": True}
    text = await alice.refused(
        "add_message", session_id="room", content="twice", idempotency_key="k"
    )
    assert text.startswith("KEY_REUSED: ")


async def test_a_retraction_is_heard_without_text(agents: tuple[Agent, Agent, Agent]) -> None:
    alice, bob, _ = agents
    said = (await alice.say("oops"))["message_id"]
    await bob("get_messages", session_id="room")
    await alice("delete_message", session_id="room", message_id=said)
    heard = await bob("wait_for_messages", session_id="room", timeout_seconds=0)
    assert heard == {
        "messages": [{"id": said + 1, "deletes": said}],
        "has_more": False,
        "unread": 0,
        "outcome": "messages",
    }


def test_a_value_that_is_nothing_is_somebodys_text_all_the_same() -> None:
    assert marked({"key": "k", "value": None})["notice"] == NOTICE
    assert "notice" not in marked({"memories": [], "has_more": False})


async def test_unread_only_goes_with_limit_alone(agents: tuple[Agent, Agent, Agent]) -> None:
    alice, bob, _ = agents
    await alice.say("one")
    for more in ({"after": 0}, {"before": 9}, {"sender": "alice"}, {"visibility": "public"}):
        refusal = await bob.refused("get_messages", session_id="room", unread_only=True, **more)
        assert refusal.startswith("INVALID_INPUT: unread_only goes with limit alone.")
    page = await bob("get_messages", session_id="room", unread_only=True, limit=1)
    assert [one["content"] for one in page["messages"]] == ["one"]
    assert page["unread"] == 0
