"""POST /broadcast as anything on the host uses it, and what viewers make of it."""

import asyncio
import contextlib
import json
import shutil
import subprocess
from typing import Any

import pytest

from proto.frames import RESERVED_TYPES
from tests.clients import frame, is_quiet, plain_client, whole
from tests.integration.rooms import broadcast, make_room, say
from tests.pair import Pair
from tests.waiting import PATIENCE

DOCUMENTED = {
    "type": "new_message",
    "data": {
        "id": 1,
        "sender": "a",
        "sender_type": "claude",
        "content": "hello",
        "visibility": "public",
        "timestamp": "2026-11-23T21:30:00.000000Z",
        "metadata": {},
    },
}


async def posted(pair: Pair, room: str, body: Any) -> tuple[int, str]:
    """Status and body of a post by curl, or httpx where there is none."""
    if shutil.which("curl") is None:
        answer = await broadcast(pair, room, body)
        return answer.status_code, answer.text
    command = ["curl", "-sS", "--noproxy", "*", "-w", "\n%{http_code}", "-X", "POST"]
    command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    command.append(f"{pair.ws_url}/broadcast/{room}")
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


async def test_the_documented_curl_command_reaches_viewers(pair: Pair, room: str) -> None:
    async with pair.viewer(room) as viewer:
        status, text = await posted(pair, room, DOCUMENTED)
        assert status == 200
        assert json.loads(text) == {"success": True, "session_id": room}
        assert text.replace(" ", "") == f'{{"success":true,"session_id":"{room}"}}'
        assert await frame(viewer) == {
            "type": "new_message",
            "session_id": room,
            "data": DOCUMENTED["data"],
            "origin": "external",
        }


async def test_a_room_nobody_made_takes_broadcasts_too(open_pair: Pair, name: str) -> None:
    async with open_pair.viewer(name) as viewer:
        status, text = await posted(open_pair, name, {"type": "deploy", "data": {"v": 2}})
        assert (status, json.loads(text)) == (200, {"success": True, "session_id": name})
        got = await frame(viewer)
        assert (got["type"], got["data"], got["origin"]) == ("deploy", {"v": 2}, "external")


async def test_only_type_and_data_of_the_body_are_taken(pair: Pair, room: str) -> None:
    forged = DOCUMENTED | {"position": 7, "session_id": "elsewhere", "origin": "partyline"}
    async with pair.viewer(room) as viewer:
        assert (await posted(pair, room, forged))[0] == 200
        got = await frame(viewer)
        assert set(got) == {"type", "session_id", "data", "origin"}
        assert (got["session_id"], got["origin"]) == (room, "external")


@pytest.mark.parametrize("kind", sorted(RESERVED_TYPES))
async def test_the_protocols_own_types_are_refused(pair: Pair, room: str, kind: str) -> None:
    async with pair.viewer(room) as viewer:
        answer = await broadcast(pair, room, {"type": kind, "data": {}})
        assert answer.status_code == 422
        assert set(answer.json()) == {"success", "error"}
        assert answer.json()["success"] is False
        await is_quiet(viewer)


@pytest.mark.parametrize(
    ("visibility", "seen_by"),
    [
        ("public", {"alice", "bob", "carol", "dave"}),
        ("private", {"alice"}),
        ("agent_only", {"alice", "bob", "dave"}),
        ("admin_only", {"dave"}),
    ],
)
async def test_visibility_narrows_who_gets_a_broadcast(
    pair: Pair, room: str, visibility: str, seen_by: set[str]
) -> None:
    rights = {
        "alice": {"kind": "claude"},
        "bob": {"kind": "claude"},
        "carol": {"kind": "codex"},
        "dave": {"kind": "codex", "scopes": "read,admin"},
    }
    data = {"sender": "alice", "sender_type": "claude", "visibility": visibility}
    async with contextlib.AsyncExitStack() as stack:
        viewers = {
            name: await stack.enter_async_context(pair.viewer(room, name, **rights[name]))
            for name in rights
        }
        assert (await broadcast(pair, room, {"type": "note", "data": data})).status_code == 200
        assert (await broadcast(pair, room, {"type": "end", "data": {}})).status_code == 200
        kinds = {name: [(await frame(viewer))["type"]] for name, viewer in viewers.items()}
        for name in seen_by:
            kinds[name].append((await frame(viewers[name]))["type"])
        for name in rights:
            assert kinds[name] == (["note", "end"] if name in seen_by else ["end"]), name
            await is_quiet(viewers[name])


async def test_a_broadcast_is_live_and_stored_nowhere(pair: Pair, room: str) -> None:
    async with pair.viewer(room) as viewer, pair.rest() as rest, pair.agent() as agent:
        before = await say(rest, room, "before")
        assert (await frame(viewer))["position"] == before
        assert (await broadcast(pair, room, DOCUMENTED)).status_code == 200
        assert (await frame(viewer))["origin"] == "external"
        after = await say(rest, room, "after")
        assert (await frame(viewer))["position"] == after

        page = (await rest.get(f"/api/sessions/{room}/messages")).json()
        assert [message["id"] for message in page["messages"]] == [before, after]
        tool = await agent.call_tool("get_messages", {"session_id": room})
        assert [whole(one) for one in tool.structured_content["messages"]] == page["messages"]
        async with pair.viewer(room, query="?since=0") as late:
            assert (await frame(late))["type"] == "subscribed"
            assert [(await frame(late))["position"] for _ in range(2)] == [before, after]
            await is_quiet(late)


async def test_other_rooms_hear_nothing(pair: Pair, room: str) -> None:
    other = await make_room(pair, f"{room}-next-door")
    async with pair.viewer(room) as viewer, pair.viewer(other) as stranger:
        assert (await broadcast(pair, room, DOCUMENTED)).status_code == 200
        await frame(viewer)
        await is_quiet(stranger)


async def test_a_page_of_another_origin_cannot_post(pair: Pair, room: str) -> None:
    async with pair.viewer(room) as viewer, plain_client() as client:
        for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            url = f"{pair.ws_url}/broadcast/{room}"
            answer = await client.post(url, json=DOCUMENTED, headers=header)
            assert answer.status_code == 403
            assert set(answer.json()) == {"success", "error"}
        await is_quiet(viewer)
