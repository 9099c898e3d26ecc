"""Presence with the real pair: agents that wait are seen to, by those who asked."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tests.clients import closed_with, frame, plain_client
from tests.integration.rooms import broadcast, make_room, say
from tests.integration.worker_viewers import VIEWERS, viewers_of_both
from tests.pair import Pair
from tests.waiting import PATIENCE, until

ASKING = "?presence=1"
Told = dict[str, Any]


async def told(viewer: Any, holds: Callable[[Told], bool], within: float = PATIENCE) -> Told:
    """The data of the first presence frame of which that holds; what else comes is passed over."""
    async with asyncio.timeout(within):
        while True:
            received = await frame(viewer, within)
            if received["type"] == "presence" and holds(received["data"]):
                data: Told = received["data"]
                return data


def waiting(data: Told) -> set[str]:
    return {one["name"] for one in data["agents"] or [] if one["waiting"]}


async def test_an_agent_that_waits_is_seen_until_it_leaves(pair: Pair, room: str) -> None:
    async with pair.viewer(room, query=ASKING) as viewer:
        first = await told(viewer, lambda data: True)
        assert first["viewers"] == 1
        async with pair.agent("waiter", kind="codex") as agent:
            call = asyncio.create_task(
                agent.call_tool("wait_for_messages", {"session_id": room, "timeout_seconds": 60})
            )
            data = await told(viewer, lambda data: "waiter" in waiting(data))
            (one,) = [one for one in data["agents"] if one["name"] == "waiter"]
            assert set(one) == {"name", "agent_type", "last_seen", "waiting"}
            assert one["agent_type"] == "codex"
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        data = await told(viewer, lambda data: data["agents"] is not None and not waiting(data))
        assert "waiter" in {one["name"] for one in data["agents"]}


async def test_the_agents_are_those_that_list_agents_shows(pair: Pair, room: str) -> None:
    async with pair.rest("bob") as rest, pair.rest("secretive") as hidden:
        await say(rest, room, "hello")
        await hidden.post(
            f"/api/sessions/{room}/messages", json={"content": "hush", "visibility": "private"}
        )
        async with pair.viewer(room, query=ASKING) as viewer:
            data = await told(viewer, lambda data: bool(data["agents"]))
        listed = (await rest.get(f"/api/sessions/{room}/agents")).json()["agents"]
    assert "secretive" not in {one["name"] for one in data["agents"]}
    assert {one["name"] for one in data["agents"]} <= {one["name"] for one in listed}
    assert "bob" in {one["name"] for one in data["agents"]}


async def test_who_did_not_ask_is_told_nothing(pair: Pair, room: str) -> None:
    async with pair.viewer(room) as plain, pair.viewer(room, query=ASKING) as asking:
        await told(asking, lambda data: data["viewers"] == 2 and data["agents"] is not None)
        async with pair.viewer(room):
            await told(asking, lambda data: data["viewers"] == 3)
        await broadcast(pair, room, {"type": "note", "data": {}})
        assert (await frame(plain))["type"] == "note"


async def test_presence_itself_cannot_be_broadcast(pair: Pair, room: str) -> None:
    answer = await broadcast(pair, room, {"type": "presence", "data": {"viewers": 9}})
    assert answer.status_code == 422


async def test_who_may_not_watch_is_not_told(pair: Pair, room: str) -> None:
    async with pair.viewer(room, "eve", query=ASKING, sessions=["another"]) as viewer:
        assert await closed_with(viewer) == 4501


async def test_an_event_stream_is_told_too(pair: Pair, room: str) -> None:
    async with plain_client(base_url=pair.ws_url, headers=pair.headers("watcher")) as client:
        plain = await client.get(f"/events/{room}?presence=2")
        assert plain.status_code == 422
        async with client.stream("GET", f"/events/{room}{ASKING}") as stream:
            lines = stream.aiter_lines()
            async with asyncio.timeout(PATIENCE):
                seen = [line async for line in _until_presence(lines)]
    assert json.loads(seen[0])["type"] == "subscribed"
    assert json.loads(seen[-1])["data"]["viewers"] == 1


async def _until_presence(lines: Any) -> Any:
    async for line in lines:
        assert not line.startswith("id:")  # it has no position
        if line.startswith("data: "):
            yield line.removeprefix("data: ")
            if '"type":"presence"' in line:
                return


async def test_while_mcp_node_is_away_presence_has_no_agents(killable: Pair, name: str) -> None:
    await make_room(killable, name)
    async with killable.viewer(name, query=ASKING) as viewer:
        await told(viewer, lambda data: bool(data["agents"]))
        killable.mcp.kill()
        await told(viewer, lambda data: data["agents"] is None)
        async with killable.viewer(name, query=ASKING) as another:
            assert (await told(another, lambda data: True))["agents"] is None
            await told(viewer, lambda data: data == {"viewers": 2, "agents": None})
        await killable.mcp.start()
        back = await told(viewer, lambda data: bool(data["agents"]))
        assert "alice" in {one["name"] for one in back["agents"]}  # from before the kill


async def test_viewers_are_counted_over_all_workers(workers: Pair, name: str) -> None:
    room = await make_room(workers, name)
    await until(workers.joined)

    async with viewers_of_both(workers, room, ASKING) as viewers:
        for viewer in viewers:
            await told(viewer, lambda data: data["viewers"] == VIEWERS)
        await viewers[0].close()
        for viewer in viewers[1:]:
            await told(viewer, lambda data: data["viewers"] == VIEWERS - 1)
