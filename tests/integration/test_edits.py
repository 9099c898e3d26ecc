"""Edits and reactions, end to end: live, from the ring, from the log, and to those who see them."""

import contextlib
from typing import Any

import httpx
import pytest

from tests.clients import frame, frames, is_quiet
from tests.integration.rooms import make_room, say
from tests.integration.test_event_stream import stream
from tests.pair import Pair

OLD, NEW, LAST = "hunter2 is the plan", "the plan is another", "the plan of today"


@pytest.fixture(params=["pair", "http_pair"])
def bridged(request: pytest.FixtureRequest) -> Pair:
    """Over each of the two bridges."""
    found: Pair = request.getfixturevalue(request.param)
    return found


async def edit(rest: httpx.AsyncClient, room: str, message_id: int, text: str) -> dict[str, Any]:
    url = f"/api/sessions/{room}/messages/{message_id}"
    answer = await rest.patch(url, json={"content": text, "metadata": {"k": text}})
    assert answer.status_code == 200, answer.text
    edited: dict[str, Any] = answer.json()
    return edited


async def test_viewers_get_the_new_text_and_later_ones_no_other(bridged: Pair, name: str) -> None:
    await make_room(bridged, name)
    async with bridged.viewer(name) as live, bridged.rest() as rest:
        first = await say(rest, name, OLD, metadata={"k": OLD})
        (said,) = await frames(live, 1)
        reactions = f"/api/sessions/{name}/messages/{first}/reactions/ack"
        assert (await rest.put(reactions, json={})).status_code == 200
        once = await edit(rest, name, first, NEW)
        again = await edit(rest, name, first, LAST)
        assert (await rest.delete(reactions)).json()["removed"] is True
        reacted, edited, last, removed = await frames(live, 4)
        mine = {"id": first, "sender": reacted["data"]["sender"], "reaction": "ack"}
        assert reacted["type"] == removed["type"] == "message_reacted"
        assert (reacted["data"], removed["data"]) == (
            {**mine, "removed": False},
            {**mine, "removed": True},
        )
        for got, text, shown in ((edited, NEW, once), (last, LAST, again)):
            assert (got["type"], got["data"]) == (
                "message_edited",
                {
                    "id": first,
                    "content": text,
                    "metadata": {"k": text},
                    "edited_at": shown["edited_at"],
                },
            )
        now = {**said, "data": {**said["data"], **last["data"]}}
        emptied = {**edited, "data": {"id": first}}
        expected = [now, reacted, emptied, last, removed]
        async with bridged.viewer(name, query=f"?since={first - 1}") as late:  # from the ring
            assert (await frame(late))["recovered"] is True
            assert await frames(late, 5) == expected
            await is_quiet(late)
        async with stream(bridged, name, f"?since={first - 1}") as events:
            sent = [await events.event() for _ in range(6)]
            assert [one["data"] for one in sent[1:]] == expected
        page = (await rest.get(f"/api/sessions/{name}/messages")).json()
        assert page["messages"] == [{**now["data"]}]
        texts = (await rest.get(f"/api/sessions/{name}/messages/{first}/revisions")).json()
        assert [one["content"] for one in texts["messages"]] == [OLD, NEW, LAST]
        await rest.delete(f"/api/sessions/{name}/messages/{first}")
    async with bridged.viewer(name, query=f"?since={first - 1}") as late:
        await frame(late)
        text = str(await frames(late, 6))
        assert not any(word in text for word in (OLD, NEW, LAST))


async def test_from_history_comes_the_last_text(bridged: Pair, name: str) -> None:
    """Nobody watched: everything is read from the log."""
    await make_room(bridged, name)
    async with bridged.rest() as rest:
        first = await say(rest, name, OLD)
        await edit(rest, name, first, NEW)
        await edit(rest, name, first, LAST)
    async with bridged.viewer(name, query="?since=0") as late:
        assert (await frame(late))["recovered"] is True
        said, once, last = await frames(late, 3)
        assert (said["data"]["content"], once["data"]) == (LAST, {"id": first})
        assert (last["type"], last["data"]["content"]) == ("message_edited", LAST)
        await is_quiet(late)


@pytest.mark.parametrize("level", ["private", "agent_only", "admin_only"])
async def test_who_does_not_see_it_learns_nothing(pair: Pair, name: str, level: str) -> None:
    name = f"{name}-{level.replace('_', '-')}"
    await make_room(pair, name)
    readers = {
        "alice": {"kind": "claude", "scopes": "read,write,admin"},
        "bob": {"kind": "claude"},
        "carol": {"kind": "codex"},
        "dave": {"kind": "codex", "scopes": "read,write,admin"},
    }
    see = {"private": {"alice"}, "agent_only": {"alice", "bob", "dave"}}.get(
        level, {"alice", "dave"}
    )
    async with contextlib.AsyncExitStack() as stack:
        viewers = {
            reader: await stack.enter_async_context(pair.viewer(name, reader, **rights))
            for reader, rights in readers.items()
        }
        alice = await stack.enter_async_context(pair.rest("alice", **readers["alice"]))
        said = await say(alice, name, OLD, visibility=level)
        await edit(alice, name, said, NEW)
        one = f"/api/sessions/{name}/messages/{said}"
        assert (await alice.put(f"{one}/reactions/done", json={})).status_code == 200
        last = await say(alice, name, "public")
        for reader, viewer in viewers.items():
            if reader in see:
                kinds = [each["type"] for each in await frames(viewer, 3)]
                assert kinds == ["new_message", "message_edited", "message_reacted"]
            assert (await frame(viewer))["position"] == last
            await is_quiet(viewer)
        for reader in readers:
            async with pair.rest(reader, **readers[reader]) as rest:
                answers = [
                    await rest.get(f"{one}/revisions"),
                    await rest.put(f"{one}/reactions/ack", json={}),
                    await rest.delete(f"{one}/reactions/ack"),
                ]
                expected = 200 if reader in see else 404
                assert [each.status_code for each in answers] == [expected] * 3
                if reader != "alice":
                    refused = await rest.patch(one, json={"content": "mine"})
                    assert refused.status_code == (403 if reader in see else 404)
