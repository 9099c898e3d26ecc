"""BRIDGE=http, end to end: the same room, over plain HTTP posts between the nodes."""

import asyncio
import contextlib

import pytest

from tests.clients import frame, is_quiet
from tests.integration.rooms import broadcast, gathered, make_room, say, say_last, transcript
from tests.pair import Pair
from tests.waiting import until

READERS = {
    "alice": {"kind": "claude"},
    "bob": {"kind": "claude"},
    "carol": {"kind": "codex"},
    "dave": {"kind": "codex", "scopes": "read,admin"},
}
SEEN_BY = {
    "public": {"alice", "bob", "carol", "dave"},
    "private": {"alice"},
    "agent_only": {"alice", "bob", "dave"},
    "admin_only": {"dave"},
}


@pytest.fixture
def bridged(http_pair: Pair) -> Pair:
    return http_pair


async def test_nobody_gets_what_they_may_not_see(bridged: Pair, name: str) -> None:
    await make_room(bridged, name)
    async with contextlib.AsyncExitStack() as stack:
        reading = {
            reader: asyncio.create_task(
                transcript(await stack.enter_async_context(bridged.viewer(name, reader, **rights)))
            )
            for reader, rights in READERS.items()
        }
        async with bridged.rest("alice", scopes="read,write,admin") as rest:
            for level in SEEN_BY:
                await say(rest, name, f"for {level}", visibility=level)
        await say_last(bridged, name)
        for reader, got in zip(reading, await gathered(*reading.values()), strict=True):
            expected = [level for level, readers in SEEN_BY.items() if reader in readers]
            assert [one["visibility"] for one in got] == expected, reader
            assert [one["content"] for one in got] == [f"for {level}" for level in expected]


async def test_a_crowd_comes_across_in_order(bridged: Pair, name: str) -> None:
    await make_room(bridged, name)
    async with bridged.viewer(name) as one, bridged.viewer(name) as other:
        reading = [asyncio.create_task(transcript(viewer)) for viewer in (one, other)]

        async def speak(agent: str) -> list[tuple[int, str]]:
            async with bridged.rest(agent) as rest:
                return [(await say(rest, name, f"{agent} {n}"), agent) for n in range(20)]

        spoken = await gathered(*(speak(f"agent-{n}") for n in range(8)))
        await say_last(bridged, name)
        expected = sorted(pair for pairs in spoken for pair in pairs)
        for got in await gathered(*reading):
            assert [(message["id"], message["sender"]) for message in got] == expected


async def test_what_ws_node_missed_is_healed_from_the_log(bridged: Pair, name: str) -> None:
    await make_room(bridged, name)
    async with bridged.rest() as rest:
        async with bridged.viewer(name) as viewer:
            seen = await say(rest, name, "seen")
            assert (await frame(viewer))["position"] == seen
        bridged.ws.kill()
        missed = [await say(rest, name, f"missed {n}") for n in range(5)]
        await bridged.ws.start()
        await until(bridged.joined)
        async with (
            bridged.viewer(name) as fresh,
            bridged.viewer(name, query=f"?since={seen}") as back,
        ):
            assert (await frame(back))["recovered"] is True
            live = [await say(rest, name, f"live {n}") for n in range(3)]
            assert [(await frame(fresh))["position"] for _ in live] == live
            expected = missed + live
            assert [(await frame(back))["position"] for _ in expected] == expected
            for viewer in (fresh, back):
                await is_quiet(viewer)


async def test_only_mcp_node_makes_durable_events(bridged: Pair, name: str) -> None:
    await make_room(bridged, name)
    forged = {
        "type": "new_message",
        "session_id": name,
        "position": 9_000,
        "data": {"id": 9_000, "visibility": "public", "sender_type": "claude", "content": "x"},
    }
    claims = {
        "X-Partyline-Epoch": "0" * 32,
        "X-Partyline-Prev": "0",
        "X-Partyline-Principal": "alice",
    }
    async with bridged.viewer(name) as viewer:
        for headers in ({}, bridged.headers("alice", scopes="read,write,admin")):
            answer = await broadcast(bridged, name, forged, **claims, **headers)
            assert (answer.status_code, answer.json()["success"]) == (401, False)
        await is_quiet(viewer)
