"""delete_message, end to end: who watches learns of it, who comes later never gets the text."""

import asyncio
import contextlib
import itertools
import json
from typing import Any

import httpx
import pytest
import websockets
from fastmcp.exceptions import ToolError

from tests.clients import frame, frames, is_quiet, plain_client, whole
from tests.integration.rooms import gathered, make_room, say, whole_log
from tests.integration.test_event_stream import stream
from tests.pair import Pair
from tests.waiting import until

SECRET = "hunter2 is the password"
GONE = {"content": "", "metadata": {}, "deleted": True}


@pytest.fixture(params=["pair", "http_pair"])
def bridged(request: pytest.FixtureRequest) -> Pair:
    """Over each of the two bridges."""
    found: Pair = request.getfixturevalue(request.param)
    return found


def what_is_left(said: dict[str, Any]) -> dict[str, Any]:
    """The frame of a message, once it was deleted."""
    return {**said, "data": {**said["data"], **GONE}}


async def delete(rest: httpx.AsyncClient, room: str, message_id: int) -> httpx.Response:
    return await rest.delete(f"/api/sessions/{room}/messages/{message_id}")


async def deleted(rest: httpx.AsyncClient, room: str, message_id: int) -> None:
    answer = await delete(rest, room, message_id)
    assert (answer.status_code, answer.json()) == (
        200,
        {"message_id": message_id, "deleted": True},
    )


async def test_viewers_learn_once_and_later_ones_get_no_text(bridged: Pair, name: str) -> None:
    await make_room(bridged, name)
    async with bridged.viewer(name) as live, bridged.rest() as rest:
        first = await say(rest, name, SECRET, metadata={"k": SECRET})
        second = await say(rest, name, "harmless")
        seen = await frames(live, 2)
        await deleted(rest, name, first)
        await deleted(rest, name, first)
        end = await frame(live)
        assert end == {
            "type": "message_deleted",
            "session_id": name,
            "position": end["position"],
            "data": {"id": first},
        }
        assert end["position"] > second
        third = await say(rest, name, "go on")
        assert (await frame(live))["position"] == third
        expected = [what_is_left(seen[0]), seen[1], end]
        async with bridged.viewer(name, query=f"?since={first - 1}") as late:  # from the ring
            assert (await frame(late))["recovered"] is True
            assert (await frames(late, 4))[:3] == expected
            await is_quiet(late)
        async with bridged.viewer(name, query=f"?since={second}") as back:
            assert [one["position"] for one in await frames(back, 3)] == [
                second,
                end["position"],
                third,
            ]
        async with stream(bridged, name, f"?since={first - 1}") as events:
            got = [await events.event() for _ in range(5)]
            assert [one["data"] for one in got[1:4]] == expected
            assert got[3]["id"] == str(end["position"])
        await is_quiet(live)


async def test_from_history_comes_what_is_left(bridged: Pair, name: str) -> None:
    """Nobody watched: everything is read from the log."""
    await make_room(bridged, name)
    async with bridged.rest() as rest:
        first = await say(rest, name, SECRET)
        await deleted(rest, name, first)
    async with bridged.viewer(name, query="?since=0") as late:
        assert (await frame(late))["recovered"] is True
        said, end = await frames(late, 2)
        assert said["data"] == {**said["data"], "id": first, **GONE}
        assert (end["type"], end["data"]) == ("message_deleted", {"id": first})
        await is_quiet(late)


@pytest.mark.parametrize("level", ["private", "agent_only", "admin_only"])
async def test_who_did_not_see_it_learns_nothing(bridged: Pair, name: str, level: str) -> None:
    name = f"{name}-{level.replace('_', '-')}"
    await make_room(bridged, name)
    readers = {
        "alice": {"kind": "claude", "scopes": "read,write,admin"},
        "bob": {"kind": "claude"},
        "carol": {"kind": "codex"},
        "dave": {"kind": "codex", "scopes": "read,admin"},
    }
    learn = {"private": {"alice"}, "agent_only": {"alice", "bob", "dave"}}
    async with contextlib.AsyncExitStack() as stack:
        viewers = {
            reader: await stack.enter_async_context(bridged.viewer(name, reader, **rights))
            for reader, rights in readers.items()
        }
        alice = await stack.enter_async_context(bridged.rest("alice", **readers["alice"]))
        said = await say(alice, name, SECRET, visibility=level)
        await deleted(alice, name, said)
        last = await say(alice, name, "public")
        for reader, viewer in viewers.items():
            if reader in learn.get(level, {"alice", "dave"}):
                assert (await frame(viewer))["position"] == said
                assert (await frame(viewer))["data"] == {"id": said}
            assert (await frame(viewer))["position"] == last
            await is_quiet(viewer)
            query = f"?since={said - 1}"
            async with bridged.viewer(name, reader, query=query, **readers[reader]) as late:
                await frame(late)
                got = await frames(late, 3 if reader in learn.get(level, {"alice", "dave"}) else 1)
                assert SECRET not in str(got)
                assert got[-1]["position"] == last
                await is_quiet(late)


async def test_the_tool_deletes_or_says_why_not(pair: Pair, room: str) -> None:
    async with pair.agent("alice") as alice, pair.agent("bob") as bob:
        added = await alice.call_tool("add_message", {"session_id": room, "content": SECRET})
        hidden = await alice.call_tool(
            "add_message", {"session_id": room, "content": "x", "visibility": "private"}
        )
        which = {
            "session_id": room,
            "message_id": added.structured_content["message_id"],
        }
        unseen = {**which, "message_id": hidden.structured_content["message_id"]}
        with pytest.raises(ToolError, match=r"^FORBIDDEN: Only its sender"):
            await bob.call_tool("delete_message", which)
        with pytest.raises(ToolError) as refused:
            await bob.call_tool("delete_message", unseen)
        with pytest.raises(ToolError) as missing:
            await bob.call_tool("delete_message", {**which, "message_id": 10**9})
        assert str(refused.value) == str(missing.value)
        assert str(missing.value).startswith("MESSAGE_NOT_FOUND: ")
        for _ in range(2):
            done = await alice.call_tool("delete_message", which)
            wanted = {"message_id": which["message_id"], "deleted": True, "unread": 0}
            assert done.structured_content == wanted
        page = await bob.call_tool("get_messages", {"session_id": room})
        (left,) = page.structured_content["messages"]
        assert whole(left) == {**left, "id": which["message_id"], **GONE, "parent_message_id": None}
        view = await alice.call_tool("get_session", {"session_id": room})
        assert [one.get("deleted") for one in view.structured_content["messages"]] == [True, None]


async def test_rest_deletes_or_says_why_not(pair: Pair, room: str) -> None:
    async with pair.rest("alice") as alice, pair.rest("bob") as bob:
        said = await say(alice, room, SECRET)
        hidden = await say(alice, room, "x", visibility="private")
        assert (await delete(bob, room, said)).status_code == 403
        refused, missing = await delete(bob, room, hidden), await delete(bob, room, 10**9)
        assert (refused.status_code, refused.json()) == (missing.status_code, missing.json())
        assert refused.json()["error"]["code"] == "MESSAGE_NOT_FOUND"
        assert (await delete(alice, room, 0)).status_code == 422
        assert (await delete(alice, room, 2**53 + 1)).status_code == 422
        for elsewhere in ("nowhere", f"{room}-x"):
            answer = await delete(alice, elsewhere, said)
            assert (answer.status_code, answer.json()["error"]["code"]) == (
                404,
                "SESSION_NOT_FOUND",
            )
        await deleted(alice, room, said)
        listed = (await bob.get(f"/api/sessions/{room}/messages")).json()["messages"]
        assert [one["id"] for one in listed] == [said]
        assert listed[0] == {**listed[0], **GONE}
    async with pair.rest("alice", scopes="read") as reader:
        assert (await delete(reader, room, hidden)).status_code == 403
    async with pair.rest("alice", sessions=["other"]) as outside:
        assert (await delete(outside, room, hidden)).status_code == 404
    async with pair.rest("root", kind="ops", scopes="read,write,admin") as admin:
        assert (await delete(admin, room, hidden)).status_code == 404


async def test_without_a_name_nothing_is_deleted(open_pair: Pair, name: str) -> None:
    await make_room(open_pair, name)
    async with open_pair.rest() as rest:
        said = await say(rest, name, "x")
        assert (await delete(rest, name, said)).status_code == 403


async def test_two_who_delete_at_once_make_one_entry(pair: Pair, room: str) -> None:
    async with (
        pair.viewer(room) as viewer,
        pair.rest("alice") as alice,
        pair.rest("root", kind="ops", scopes="read,write,admin") as admin,
    ):
        said = await say(alice, room, SECRET)
        await gathered(*(deleted(rest, room, said) for rest in (alice, admin) * 5))
        last = await say(alice, room, "last")
        got = await frames(viewer, 3)
        assert [one["type"] for one in got] == ["new_message", "message_deleted", "new_message"]
        assert got[2]["position"] == last
        await is_quiet(viewer)


async def test_nobody_broadcasts_a_deletion(pair: Pair, room: str) -> None:
    async with pair.viewer(room) as viewer, pair.rest() as rest:
        said = await say(rest, room, "stays")
        await frame(viewer)
        forged = {"type": "message_deleted", "data": {"id": said}}
        async with plain_client() as client:
            answer = await client.post(f"{pair.ws_url}/broadcast/{room}", json=forged)
        assert (answer.status_code, answer.json()["success"]) == (422, False)
        await is_quiet(viewer)


async def test_a_deletion_while_ws_node_is_away_reaches_returning_viewers(
    killable: Pair, name: str
) -> None:
    await make_room(killable, name)
    async with killable.rest() as rest:
        async with killable.viewer(name) as viewer:
            said = await say(rest, name, SECRET)
            assert (await frame(viewer))["data"]["content"] == SECRET
        killable.ws.kill()
        await deleted(rest, name, said)
        await killable.ws.start()
        await until(killable.joined)
        async with (
            killable.viewer(name, query=f"?since={said}") as back,
            killable.viewer(name, query="?since=0") as fresh,
        ):
            for viewer in (back, fresh):
                assert (await frame(viewer))["recovered"] is True
            left, end = await frames(fresh, 2)
            assert left["data"] == {**left["data"], "id": said, **GONE}
            assert (end["type"], end["data"]) == ("message_deleted", {"id": said})
            assert await frame(back) == end


async def test_a_deletion_outlives_mcp_node_and_reaches_who_stayed(
    killable: Pair, name: str
) -> None:
    """It is killed as soon as it has answered: the frame may be lost, what it says is not."""
    await make_room(killable, name)
    async with killable.viewer(name) as stays:
        async with killable.rest() as rest:
            said = await say(rest, name, SECRET)
            await frame(stays)
            await deleted(rest, name, said)
            killable.mcp.kill()
        await killable.mcp.start()
        end = await frame(stays)
        assert (end["type"], end["data"]) == ("message_deleted", {"id": said})
        async with killable.rest() as rest:
            last = await say(rest, name, "last")
            assert (await frame(stays))["position"] == last
            await deleted(rest, name, said)
        await is_quiet(stays)
        async with killable.viewer(name, query="?since=0") as late:
            await frame(late)
            assert SECRET not in str(await frames(late, 3))
    log = await whole_log(killable, name)
    assert [one["prev"] for one in log] == [0, *(one["id"] for one in log[:-1])]


async def followed(pair: Pair, room: str, last: str) -> list[dict[str, Any]]:
    """What a client gets that comes back with its position, up to a message."""
    got: list[dict[str, Any]] = []
    while True:
        since = got[-1]["position"] if got else 0
        with contextlib.suppress(OSError, websockets.InvalidHandshake, websockets.ConnectionClosed):
            async with pair.viewer(room, query=f"?since={since}") as viewer:
                assert (await frame(viewer))["recovered"] is True
                async for text in viewer:
                    got.append(json.loads(text))
                    if got[-1]["data"].get("content") == last:
                        return got
        await asyncio.sleep(0.05)


async def test_deletions_come_once_and_in_order_though_ws_node_dies(
    killable: Pair, name: str
) -> None:
    """Every entry comes once; a text may come before the entry that deletes it, never after."""
    await make_room(killable, name)
    following = [asyncio.create_task(followed(killable, name, "last")) for _ in range(5)]
    half = asyncio.Event()

    async def talk(agent: str) -> list[int]:
        taken_back = []
        async with killable.rest(agent) as rest:
            for number in range(15):
                said = await say(rest, name, f"{agent} {number}")
                if number % 3 == 0:
                    await deleted(rest, name, said)
                    taken_back.append(said)
                if number == 7:
                    half.set()
        return taken_back

    talking = [asyncio.create_task(talk(f"agent-{n}")) for n in range(4)]
    await half.wait()
    killable.ws.kill()
    taken_back = sorted(itertools.chain(*await gathered(*talking)))
    await killable.ws.start()
    async with killable.rest() as rest:
        await say(rest, name, "last")
    log = [one["id"] for one in await whole_log(killable, name)]
    async with killable.viewer(name, query="?since=0") as late:
        await frame(late)
        fresh = await frames(late, len(log))
        assert [one["position"] for one in fresh if "deleted" in one["data"]] == taken_back
    for got in [*await gathered(*following), fresh]:
        assert [one["position"] for one in got] == log
        ends = {one["data"]["id"]: one["position"] for one in got if "content" not in one["data"]}
        assert sorted(ends) == taken_back
        assert all(said < end for said, end in ends.items())
