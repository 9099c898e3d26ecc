"""Receipts and agents: who has what, as far as the asking principal may know."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mcp_node.services import Services, make_services
from proto.errors import InvalidInput, MessageNotFound
from proto.messages import Principal
from proto.settings import load_settings
from tests.mcp_node.inbox.test_inbox import ALICE, BOB, EVE, ROOT, read, say, wait, waits
from tests.mcp_node.making import opened


@pytest.fixture
async def able(tmp_path: Path) -> AsyncIterator[Services]:
    async with opened(tmp_path) as store:
        made = make_services(store, load_settings(data_dir=tmp_path))
        await made.sessions.create_session(ALICE, "to talk", "room")
        yield made


async def names(able: Services, who: Principal, message_id: int) -> tuple[set[str], set[str]]:
    found = await able.roster.receipts(who, "room", message_id)
    return ({one["name"] for one in found["given"]}, {one["name"] for one in found["not_given"]})


async def test_who_was_given_a_message_and_who_was_not(able: Services) -> None:
    await read(able, EVE)  # here, with nothing to read
    await say(able, ALICE, "one")
    await read(able, BOB)
    await say(able, ALICE, "two")
    assert await names(able, ALICE, 1) == ({"bob"}, {"eve"})
    assert await names(able, ALICE, 2) == (set(), {"bob", "eve"})
    assert await wait(able, EVE) == [1, 2]
    assert await names(able, ALICE, 2) == ({"eve"}, {"bob"})


async def test_when_is_the_moment_it_was_given(able: Services) -> None:
    await say(able, ALICE, "one")
    await read(able, BOB)
    first = await able.roster.receipts(ALICE, "room", 1)
    await say(able, ALICE, "two")
    await read(able, BOB)
    again = await able.roster.receipts(ALICE, "room", 1)
    assert again["given"] == first["given"]
    second = await able.roster.receipts(ALICE, "room", 2)
    assert second["given"][0]["at"] >= again["given"][0]["at"]


async def test_what_lies_before_one_joined_was_not_given(able: Services) -> None:
    await say(able, ALICE, "one", "two", "three")
    assert await read(able, BOB, limit=1) == [3]
    assert await names(able, ALICE, 1) == (set(), {"bob"})
    assert await names(able, ALICE, 3) == ({"bob"}, set())


async def test_only_those_count_who_may_see_it(able: Services) -> None:
    for who in (BOB, EVE, ROOT):
        await read(able, who)
    (ours,) = await say(able, ALICE, "claude only", visibility="agent_only")
    (mine,) = await say(able, ALICE, "mine", visibility="private")
    assert await names(able, ALICE, ours) == (set(), {"bob", "root"})
    assert await names(able, ALICE, mine) == (set(), set())
    for who, id_ in ((EVE, ours), (BOB, mine), (ROOT, mine), (ALICE, 99)):
        with pytest.raises(MessageNotFound):
            await able.roster.receipts(who, "room", id_)
    for bad in (None, 0, "1", True):
        with pytest.raises(InvalidInput):
            await able.roster.receipts(ALICE, "room", bad)


async def test_the_sender_sees_whether_those_it_calls_have_it(able: Services) -> None:
    await read(able, EVE)
    waiting = asyncio.create_task(wait(able, BOB, wanted="calls"))
    await waits(able, 1)
    (first, called) = await say(able, ALICE, "something else", "@bob @eve @carol please")
    assert await waiting == [called]
    found = await able.roster.receipts(ALICE, "room", called)
    states = {one["name"]: one["state"] for one in found["mentioned"]}
    assert states == {"bob": "given", "eve": "not_given", "carol": "not_here"}
    assert await names(able, ALICE, first) == (set(), {"bob", "eve"})


async def test_agents_are_those_who_were_here(able: Services) -> None:
    await read(able, BOB)
    waiting = asyncio.create_task(wait(able, EVE))
    await waits(able, 1)
    agents = {one["name"]: one for one in await able.roster.agents(ALICE, "room")}
    assert {name: one["waiting"] for name, one in agents.items()} == {
        "alice": False,
        "bob": False,
        "eve": True,
    }
    assert agents["eve"]["agent_type"] == "codex"
    assert all(one["first_seen"] <= one["last_seen"] for one in agents.values())
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_what_nobody_else_may_see_leaves_no_trace_of_its_author(able: Services) -> None:
    await read(able, BOB)
    before = await able.roster.agents(BOB, "room")
    for level in ("private", "agent_only"):
        await say(able, EVE, "hush", visibility=level)
    await say(able, ROOT, "hush", visibility="admin_only")
    after = await able.roster.agents(BOB, "room")
    assert [one["name"] for one in after] == [one["name"] for one in before]
    await say(able, EVE, "hello")
    assert "eve" in {one["name"] for one in await able.roster.agents(BOB, "room")}


async def test_who_may_not_see_it_is_in_no_list(able: Services) -> None:
    for who in (BOB, EVE):
        await read(able, who)
    (ours,) = await say(able, ALICE, "@eve @bob @carol @alice", visibility="agent_only")
    found = await able.roster.receipts(ALICE, "room", ours)
    states = {one["name"]: one["state"] for one in found["mentioned"]}
    assert states == {"bob": "not_given", "carol": "not_here"}


async def test_a_reply_proves_that_its_author_was_given_it(able: Services) -> None:
    (first,) = await say(able, ALICE, "@bob @eve one")
    await say(able, BOB, "heard", parent_message_id=first)
    await say(able, EVE, "to myself", parent_message_id=first, visibility="private")
    await say(able, ALICE, "anybody?", parent_message_id=first)
    found = await able.roster.receipts(ALICE, "room", first)
    assert [one["name"] for one in found["given"]] == ["bob"]
    assert {one["name"]: one["state"] for one in found["mentioned"]} == {
        "bob": "given",
        "eve": "not_here",
    }
    assert await names(able, EVE, first) == ({"bob", "eve"}, set())
    replied = found["given"][0]["at"]
    await read(able, BOB)
    assert (await able.roster.receipts(ALICE, "room", first))["given"][0]["at"] == replied
