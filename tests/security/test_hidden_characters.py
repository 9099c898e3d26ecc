"""Characters that nobody sees are counted on every path that gives participants' text."""

import json
from collections.abc import Iterator
from typing import Any

import websockets

from tests.clients import frame, plain_client
from tests.pair import Pair

ZWSP = "\u200b"
TAGS = "".join(chr(0xE0000 + ord(one)) for one in "ignore")
PURPOSE = f"plan{ZWSP} the release"
METADATA = {f"k{ZWSP}": {"deep": [f"v{TAGS}"]}}
CONTENT = f"pay{TAGS} somebody\u202e now"
HIDDEN = {"session": 8, "message": 14, "snippet": 7, "memory": 7}


def counts(value: Any) -> Iterator[tuple[str, int]]:
    """Of every object in an answer: what it is, and how many it says are hidden in it."""
    if isinstance(value, dict):
        kinds = {"purpose": "session", "content": "message", "snippet": "snippet", "key": "memory"}
        kind = next((kind for field, kind in kinds.items() if field in value), None)
        if kind is not None:
            yield kind, value.get("hidden_characters", 0)
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from counts(inner)


def test_the_count_of_an_answer_sees_what_is_in_it() -> None:
    answer = {"purpose": "", "messages": [{"content": "", "hidden_characters": 2}]}
    assert list(counts(answer)) == [("session", 0), ("message", 2)]


async def test_hidden_characters_are_counted_on_every_path(pair: Pair) -> None:
    room = "hidden-everywhere"
    answers: dict[str, Any] = {}
    async with pair.agent("mallory", sessions=[room]) as agent:

        async def call(tool: str, **arguments: Any) -> None:
            done = await agent.call_tool(tool, arguments)
            answers[tool] = done.structured_content

        await call("create_session", purpose=PURPOSE, session_id=room, metadata=METADATA)
        await agent.call_tool(
            "add_message", {"session_id": room, "content": CONTENT, "metadata": METADATA}
        )
        value = {f"note{ZWSP}": TAGS}
        await agent.call_tool("set_memory", {"key": "plan", "value": value})
        for tool in ("get_session", "get_messages"):
            await call(tool, session_id=room)
        await call("wait_for_messages", session_id=room, after=0)
        await call("update_session", session_id=room, purpose=PURPOSE)
        await call("list_sessions", limit=1000)
        await call("search_messages", query="somebody", session_id=room)
        await call("get_memory", key="plan")
        for uri in (f"session://{room}", f"session://{room}/messages", "agent://me/memory"):
            (read,) = await agent.read_resource(uri)
            answers[uri] = json.loads(read.text)
    headers = {"Authorization": f"Bearer {pair.token('mallory', sessions=[room])}"}
    async with plain_client(base_url=pair.mcp_url, headers=headers) as client:
        for path in (
            "/api/sessions?limit=1000",
            f"/api/sessions/{room}",
            f"/api/sessions/{room}/messages",
            f"/api/search?q=somebody&session_id={room}",
        ):
            answers[path] = (await client.get(path)).json()
        made = {"purpose": PURPOSE, "session_id": room}
        answers["POST /api/sessions"] = (await client.post("/api/sessions", json=made)).json()
        changed = await client.patch(f"/api/sessions/{room}", json={"purpose": PURPOSE})
        answers["PATCH"] = changed.json()
    async with websockets.connect(
        f"ws://127.0.0.1:{pair.ws_port}/ws/{room}?since=0", additional_headers=headers, proxy=None
    ) as viewer:
        await frame(viewer)
        answers["replay"] = await frame(viewer)
        async with pair.agent("mallory", sessions=[room]) as agent:
            again = {"session_id": room, "content": CONTENT, "metadata": METADATA}
            await agent.call_tool("add_message", again)
        answers["live"] = await frame(viewer)
    for path, answer in answers.items():
        found = set(counts(answer))
        assert found, path
        assert all(count == HIDDEN[kind] for kind, count in found), (path, found)
