"""AgentPresence in mcp_node: who waits or was there lately, also over a restart of the process."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from mcp_node.inbox.presence import MOST_AGENTS, AgentPresence
from mcp_node.services import Services, make_services
from proto.messages import Principal
from proto.settings import load_settings
from serving.http.identity import NOBODY
from tests.mcp_node import storing
from tests.mcp_node.inbox.test_inbox import ALICE, BOB, EVE, ROOT, able, read, say, wait, waits
from tests.mcp_node.making import opened
from tests.waiting import until

__all__ = ["able"]


async def here(able: Services, session_id: str = "room") -> list[dict[str, Any]]:
    found = await able.presence.at_work([session_id])
    return [msgspec.to_builtins(one) for one in found.get(session_id, [])]


async def test_agents_that_wait_come_first_then_the_latest_seen(able: Services) -> None:
    assert [one["name"] for one in await here(able)] == ["alice"]  # who made it
    waiting = asyncio.create_task(wait(able, EVE))
    await waits(able, 1)
    await read(able, BOB)
    agents = await here(able)
    assert [(one["name"], one["waiting"]) for one in agents] == [
        ("eve", True), ("bob", False), ("alice", False),
    ]  # fmt: skip
    assert agents[0]["agent_type"] == "codex"
    listed = {one.pop("name"): one for one in await able.roster.agents(ALICE, "room")}
    assert agents[1]["last_seen"] == listed["bob"]["last_seen"]
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not any(one["waiting"] for one in await here(able))


async def test_agents_are_listed_by_session_without_anonymous_readers(able: Services) -> None:
    await able.sessions.create_session(BOB, "else", "other")
    await storing.read(able, NOBODY, "other")
    found = await able.presence.at_work(["other", "room", "no-such-room"])
    assert {name: [one.name for one in agents] for name, agents in found.items()} == {
        "other": ["bob"],
        "room": ["alice"],
    }


async def test_whoever_has_not_been_there_lately_is_left_out_unless_it_waits(
    able: Services,
) -> None:
    presence = AgentPresence(able.sessions._database, able.readers, able.waiting, timedelta(0))
    waiting = asyncio.create_task(wait(able, EVE))
    found = await until(lambda: presence.at_work(["room"]))  # it is seen a moment after it waits
    assert [one.name for one in found["room"]] == ["eve"]
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await presence.at_work(["room"]) == {}


async def test_what_nobody_else_may_see_leaves_no_trace(able: Services) -> None:
    await read(able, BOB)
    before = await here(able)
    for level in ("private", "agent_only"):
        await say(able, EVE, "hush", visibility=level)
    await say(able, ROOT, "hush", visibility="admin_only")
    assert await here(able) == before
    await say(able, EVE, "hello")
    assert "eve" in {one["name"] for one in await here(able)}


async def test_agents_of_a_session_are_bounded(able: Services) -> None:
    for number in range(MOST_AGENTS + 5):
        await read(able, Principal(f"a{number}", "claude", frozenset({"read"}), token_id="t"))
    agents = await here(able)
    assert len(agents) == MOST_AGENTS
    assert agents[0]["name"] == f"a{MOST_AGENTS + 4}"


async def test_a_new_process_knows_who_was_there_before_it(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    async with opened(tmp_path) as store:
        able = make_services(store, settings)
        await able.sessions.create_session(ALICE, "to talk", "room")
        await read(able, BOB)
        before = await here(able)
        await able.readers.save()
    async with opened(tmp_path) as store:
        able = make_services(store, settings)
        assert await here(able) == before
        await read(able, BOB)  # seen anew: what memory knows is newer
        again = await here(able)
        assert [one["name"] for one in again] == ["bob", "alice"]
        assert again[0]["last_seen"] > before[0]["last_seen"]
        assert again[1] == before[1]
