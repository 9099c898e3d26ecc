"""What one may not see behaves as if it did not exist: at every door, one table.

Two rooms have the same history, but the first also has messages that the onlooker may not see,
between the others, mentioning it, in reply to what it sees. Every door is asked the same in both,
and must say the same of both; and the secret word is in no answer.
"""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from fastmcp import Client
from mcp.client.subscriptions import listen

from tests.clients import frame
from tests.integration.rooms import make_room, say
from tests.pair import Pair
from tests.waiting import PATIENCE, until

SECRET = "zanzibar"
NOWHERE = 2**40
FIELDS = quote(json.dumps({"kind": SECRET}))
KINDS = {
    "eve": {"kind": "codex"},
    "ann": {"kind": "claude"},
    "root": {"kind": "ops", "scopes": "read,write,admin"},
}
_numbers = itertools.count(1)
_IDS = {"id", "message_id", "position", "parent_message_id"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@dataclass
class Room:
    """A room as its onlooker knows it.

    Attributes:
        hidden: ids it may not see; in the room without secrets ids that nobody has.
        seen: ids it may see, in order.
    """

    name: str
    hidden: list[int]
    seen: list[int]


@dataclass
class Onlooker:
    """Who looks, and through what."""

    name: str
    agent: Client[Any]
    pair: Pair

    async def tool(self, tool: str, **arguments: Any) -> Any:
        """What a tool gives, or says of why not."""
        answer = await self.agent.call_tool(tool, arguments, raise_on_error=False)
        if answer.is_error:
            text = "".join(getattr(part, "text", "") for part in answer.content)
            problem, _, details = text.partition("\n")
            return [problem, json.loads(details or "null")]
        return answer.structured_content

    async def rest(self, method: str, path: str, **body: Any) -> Any:
        """What REST answers."""
        async with self.pair.rest(self.name, **KINDS[self.name]) as client:
            answer = await client.request(method, path, json=body or None)
            return [answer.status_code, answer.json()]

    async def resource(self, uri: str) -> Any:
        """What a resource holds."""
        contents = await self.agent.read_resource(uri)
        return [json.loads(getattr(part, "text", "null")) for part in contents]


def same(value: Any, room: Room) -> Any:
    """An answer without what may differ: the room's name, times, and ids by their rank."""
    if isinstance(value, dict):
        return {key: _same_field(key, inside, room) for key, inside in value.items()}
    if isinstance(value, list):
        return [same(each, room) for each in value]
    if isinstance(value, str):
        return _TIME.sub("TIME", value.replace(room.name, "ROOM"))
    return value


def _same_field(key: str, value: Any, room: Room) -> Any:
    if key in _IDS and value in room.seen:
        return room.seen.index(value)
    if key == "message_ids":
        return [room.seen.index(each) for each in value]
    if key == "text" and isinstance(value, str) and value.startswith("{"):
        return same(json.loads(value), room)
    return same(value, room)


Door = Callable[[Onlooker, Room], Awaitable[Any]]


def tool(name: str, **arguments: Any) -> Door:
    """A tool; its arguments ``HIDDEN``, ``SEEN`` and ``LAST`` stand for ids of the room."""

    async def ask(who: Onlooker, room: Room) -> Any:
        return await who.tool(name, **{"session_id": room.name, **filled(arguments, room)})

    return ask


def filled(value: Any, room: Room) -> Any:
    """A value with the ids that ``HIDDEN``, ``SEEN`` and ``LAST`` in it stand for."""
    if isinstance(value, dict):
        return {key: filled(inside, room) for key, inside in value.items()}
    if isinstance(value, list):
        return [filled(each, room) for each in value]
    ids = {"HIDDEN": room.hidden[0], "SEEN": room.seen[0], "LAST": room.seen[-1]}
    return ids.get(value, value) if isinstance(value, str) else value


def everywhere(name: str, **arguments: Any) -> Door:
    """A tool that takes no session here."""

    async def ask(who: Onlooker, room: Room) -> Any:
        return await who.tool(name, **arguments)

    return ask


def rest(method: str, path: str, **body: Any) -> Door:
    """A route."""

    async def ask(who: Onlooker, room: Room) -> Any:
        filled = path.format(room=room.name, hidden=room.hidden[0], seen=room.seen[0])
        return await who.rest(method, filled, **body)

    return ask


def resource(uri: str) -> Door:
    """A resource."""

    async def ask(who: Onlooker, room: Room) -> Any:
        return await who.resource(uri.format(room=room.name))

    return ask


def prompt(name: str, **arguments: str) -> Door:
    """A prompt, with what is embedded in it."""

    async def ask(who: Onlooker, room: Room) -> Any:
        found = await who.agent.get_prompt(name, {"session_id": room.name, **arguments})
        return [part.model_dump(mode="json") for part in found.messages]

    return ask


async def listed(who: Onlooker, room: Room) -> Any:
    """Its line in the list, and whether its activity is that of what may be seen."""
    found = (await who.tool("list_sessions", limit=1000))["sessions"]
    (line,) = [one for one in found if one["session_id"] == room.name]
    newest = (await who.tool("get_messages", session_id=room.name))["messages"][-1]
    return [line, line["last_activity"] == newest["timestamp"]]


async def live(who: Onlooker, room: Room) -> Any:
    """Everything a viewer is sent from the beginning on."""
    viewer = who.pair.viewer(room.name, who.name, query="?since=0", **KINDS[who.name])
    async with viewer as socket:
        frames = [await frame(socket) for _ in range(1 + len(room.seen))]
        await socket.send("ping")
        assert await socket.recv() == "pong"
    return [one for one in frames if one["type"] != "subscribed"]


async def stream(who: Onlooker, room: Room) -> Any:
    """The same as an event stream."""
    async with who.pair.rest(who.name, **KINDS[who.name]) as client:
        url = f"{who.pair.ws_url}/events/{room.name}?since=0"
        async with client.stream("GET", url) as answer:
            frames: list[Any] = []
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    frames.append(json.loads(line.removeprefix("data:")))
                if len(frames) > len(room.seen):
                    break
    return [one for one in frames if one["type"] != "subscribed"]


_REPLY_TO_HIDDEN = {"content": "answer", "parent_message_id": "HIDDEN"}
TOOLS: dict[str, list[Door]] = {
    "create_session": [tool("create_session", purpose="p")],
    "list_sessions": [listed],
    "get_session": [tool("get_session")],
    "add_message": [
        tool("add_message", content="answer", parent_message_id="HIDDEN"),
        tool("add_message", content="unread?", visibility="private"),
        tool("add_message", content="crossing", if_last_seen="SEEN"),
        tool("add_message", content="crossing", if_last_seen=0),
        tool("add_message", content="not crossing", if_last_seen="LAST"),
    ],
    "add_messages": [
        tool("add_messages", messages=[{"content": "a"}, _REPLY_TO_HIDDEN]),
        tool("add_messages", messages=[_REPLY_TO_HIDDEN], idempotency_key="k"),
        tool(
            "add_messages",
            messages=[{"content": "b"}, {"content": "c", "visibility": "private"}],
            idempotency_key="k",
        ),
    ],
    "get_messages": [
        tool("get_messages"),
        tool("get_messages", revisions_of="HIDDEN"),
        tool("get_messages", after="SEEN", limit=1),
        tool("get_messages", sender="ann"),
        tool("get_messages", visibility="private"),
        tool("get_messages", visibility="agent_only"),
        tool("get_messages", visibility="admin_only"),
        tool("get_messages", thread="SEEN"),
        tool("get_messages", thread="HIDDEN"),
        tool("get_messages", metadata={"kind": SECRET}),
        tool("get_messages", metadata={"kind": SECRET, "n": 1}, sender="ann"),
        tool("get_messages", thread="SEEN", metadata={"n": 1}),
        tool("get_messages", unread_only=True),
    ],
    "wait_for_messages": [
        tool("wait_for_messages", timeout_seconds=0),
        tool("wait_for_messages", timeout_seconds=0, after=0),
        tool("wait_for_messages", timeout_seconds=0, wanted="calls"),
        tool("wait_for_messages", timeout_seconds=0, thread="SEEN", after=0),
        tool("wait_for_messages", timeout_seconds=0, thread="HIDDEN"),
        tool("wait_for_messages", timeout_seconds=0, thread="SEEN", wanted="calls", after=0),
        tool("wait_for_messages", timeout_seconds=0, sender="ann", settle_seconds=30),
    ],
    "get_receipts": [
        tool("get_receipts", message_id="HIDDEN"),
        tool("get_receipts", message_id="SEEN"),
        tool("get_receipts", message_id="LAST"),
    ],
    "list_agents": [tool("list_agents")],
    "search_messages": [
        tool("search_messages", query=SECRET),
        tool("search_messages", query="zanzibra"),
        tool("search_messages", query="zanz*"),
        tool("search_messages", query="common"),
        tool("search_messages", query="common", sender="ann"),
        tool("search_messages", query="common", thread="SEEN"),
        tool("search_messages", query="common", thread="HIDDEN"),
        tool("search_messages", query="common", metadata={"kind": SECRET}),
    ],
    "delete_message": [tool("delete_message", message_id="HIDDEN")],
    "edit_message": [tool("edit_message", message_id="HIDDEN", content="x")],
    "react": [tool("react", message_id="HIDDEN", reaction="ack")],
    "close_session": [tool("close_session")],
    "update_session": [tool("update_session", purpose="mine now")],
    "get_live_link": [],  # its answer holds nothing of anybody's; tests/links
    "claim": [tool("claim", names=["src/**", SECRET])],
    "release": [tool("release"), tool("release", names=[SECRET])],
    "set_note": [
        tool("set_note", key="plan", text="a", if_version=0),
        tool("set_note", key="plan", text="b", if_version=7),
    ],
    "get_notes": [tool("get_notes"), tool("get_notes", key="plan")],
    "set_status": [tool("set_status", text="busy"), tool("set_status", text="")],
    "leave_session": [tool("leave_session")],
    "set_memory": [],
    "get_memory": [tool("get_memory", key="plan")],
    "list_memory": [tool("list_memory", prefix="")],
    "delete_memory": [tool("delete_memory", key="plan")],
}
DOORS: dict[str, list[Door]] = {
    **TOOLS,
    "resources": [
        resource("session://{room}"),
        resource("session://{room}/messages"),
        resource("agent://me/memory"),
    ],
    "prompts": [
        prompt("join_session"),
        prompt("summarize_session"),
        prompt("hand_over", to="ann"),
    ],
    "REST": [
        rest("GET", "/api/sessions/{room}"),
        rest("GET", "/api/sessions/{room}/messages"),
        rest("GET", "/api/sessions/{room}/messages?sender=ann"),
        rest("GET", "/api/sessions/{room}/messages?thread={seen}"),
        rest("GET", "/api/sessions/{room}/messages?thread={hidden}"),
        rest("GET", "/api/sessions/{room}/messages?metadata=" + FIELDS),
        rest("GET", "/api/search?q=common&session_id={room}&thread={seen}&metadata=" + FIELDS),
        rest("GET", "/api/sessions/{room}/agents"),
        rest("POST", "/api/sessions/{room}/read", through=1),
        rest("POST", "/api/sessions/{room}/claims", names=["src/**"]),
        rest("GET", "/api/sessions/{room}/claims"),
        rest("PUT", "/api/sessions/{room}/status", text="busy"),
        rest("POST", "/api/sessions/{room}/leave"),
        rest("PUT", "/api/sessions/{room}/notes/a%2Fb", text="a"),
        rest("GET", "/api/sessions/{room}/notes"),
        rest("GET", "/api/sessions/{room}/notes/a%2Fb"),
        rest("POST", "/api/sessions/{room}/claims/release", names=["src/**"]),
        rest("POST", "/api/sessions/{room}/messages", content="a", parent_message_id=NOWHERE),
        rest("POST", "/api/sessions/{room}/messages", content="a", if_last_seen=0),
        rest(
            "POST",
            "/api/sessions/{room}/messages/batch",
            messages=[{"content": "a"}, {"content": "b", "parent_message_id": NOWHERE}],
        ),
        rest("POST", "/api/sessions/{room}/messages/batch", messages=[{"content": "a"}]),
        rest("GET", f"/api/search?q={SECRET}&session_id={{room}}"),
        rest("GET", "/api/search?q=common&session_id={room}"),
        rest("DELETE", "/api/sessions/{room}/messages/{hidden}"),
        rest("PATCH", "/api/sessions/{room}/messages/{hidden}", content="x"),
        rest("GET", "/api/sessions/{room}/messages/{hidden}/revisions"),
        rest("PUT", "/api/sessions/{room}/messages/{hidden}/reactions/ack"),
        rest("DELETE", "/api/sessions/{room}/messages/{hidden}/reactions/ack"),
    ],
    "live": [live, stream],
}


async def history(pair: Pair, room: str, onlooker: str, *, secrets: bool) -> list[int]:
    """The same words in every room; with secrets between them, whose ids are given."""
    hidden: list[int] = []

    async def hide(who: str, level: str, parent: int | None = None) -> None:
        if secrets:
            text = f"@{onlooker} the {SECRET} is common, {level}"
            async with pair.rest(who, **KINDS.get(who, {})) as client:
                about = {"visibility": level, "metadata": {"kind": SECRET, "n": 1}}
                hidden.append(await say(client, room, text, parent_message_id=parent, **about))

    async with pair.rest("ann", **KINDS["ann"]) as ann:
        await hide("ann", "private")
        first = await say(ann, room, "a common word, zanzibor")
        await hide("ann", "private", first)
        if onlooker != "root":
            await hide("ann", "agent_only", first)
            await hide("root", "admin_only")
        await say(ann, room, f"@{onlooker} common again", metadata={"n": 1})
        await say(ann, room, "a common reply", parent_message_id=first, metadata={"n": 1})
        await hide("ann", "private")
        async with pair.rest(onlooker, **KINDS[onlooker]) as own:
            asked = await say(own, room, "a common question")
        await hide("ann", "private", asked)
        if onlooker != "root":
            await hide("ann", "agent_only", asked)
            await hide("root", "admin_only", asked)
    if secrets:
        async with pair.agent("ann", **KINDS["ann"]) as agent:
            for number in range(3):
                entry = {"key": f"plan{number or ''}", "value": SECRET, "session_id": room}
                await agent.call_tool("set_memory", entry)
    return hidden


async def seen_by(who: Onlooker, room: str) -> list[int]:
    """The ids of what an onlooker may see."""
    _, page = await who.rest("GET", f"/api/sessions/{room}/messages")
    return [message["id"] for message in page["messages"]]


@asynccontextmanager
async def looking(pair: Pair, name: str) -> AsyncIterator[Onlooker]:
    """An onlooker of that name."""
    async with pair.agent(name, **KINDS[name]) as agent:
        yield Onlooker(name, agent, pair)


@pytest.fixture(params=["eve", "root"])
async def rooms(pair: Pair, request: pytest.FixtureRequest) -> tuple[str, Room, Room]:
    """The name of an onlooker, and two new rooms: one with secrets and one without."""
    name, number = request.param, next(_numbers)
    made = []
    async with looking(pair, name) as who:
        for secrets in (True, False):
            room = await make_room(pair, f"unseen-{number}-{'with' if secrets else 'sans'}")
            hidden = await history(pair, room, name, secrets=secrets)
            made.append(Room(room, hidden or [NOWHERE], await seen_by(who, room)))
    return name, made[0], made[1]


@pytest.mark.parametrize("place", list(DOORS))
async def test_a_door_says_the_same_with_and_without(
    pair: Pair, rooms: tuple[str, Room, Room], place: str
) -> None:
    name, first, second = rooms
    async with looking(pair, name) as who:
        for door in DOORS[place]:
            answers = [await door(who, first), await door(who, second)]
            for room in (first, second):  # what it has added itself included
                room.seen = await seen_by(who, room.name)
            repeated = SECRET in str(answers[1])  # what the onlooker itself has asked for
            assert repeated or SECRET not in json.dumps(answers[0])
            assert same(answers[0], first) == same(answers[1], second)


async def test_every_tool_is_in_the_table(pair: Pair) -> None:
    async with looking(pair, "eve") as who:
        assert {one.name for one in await who.agent.list_tools()} == set(TOOLS)


async def test_waiting_and_subscriptions_hear_nothing_of_it(
    pair: Pair, rooms: tuple[str, Room, Room]
) -> None:
    name, first, second = rooms
    async with (
        looking(pair, name) as who,
        looking(pair, name) as one,
        looking(pair, name) as other,
    ):
        for room in (first, second):
            await who.tool("get_messages", session_id=room.name, unread_only=True)
        waits = [
            asyncio.create_task(agent.tool("wait_for_messages", session_id=room.name))
            for agent, room in ((one, first), (other, second))
        ]
        uris = [f"session://{room.name}/messages" for room in (first, second)]
        async with listen(who.agent.session, resource_subscriptions=uris) as updates:
            await until(lambda: _both_wait(who, first, second))
            await one_more_secret(pair, first, name)
            async with pair.rest("ann", **KINDS["ann"]) as ann:
                await say(ann, second.name, "heard")
            async with asyncio.timeout(PATIENCE):
                update = await anext(aiter(updates))
                heard = await waits[1]
        assert uris[1] in str(update)
        assert heard["messages"][0]["content"] == "heard"
        assert not waits[0].done()
        waits[0].cancel()
        await asyncio.gather(waits[0], return_exceptions=True)


async def one_more_secret(pair: Pair, room: Room, onlooker: str) -> None:
    """Something more that the onlooker may not see."""
    async with pair.rest("ann", **KINDS["ann"]) as ann:
        for parent in (None, room.seen[-1]):  # the last is the onlooker's own
            text = f"@{onlooker} {SECRET}"
            await say(ann, room.name, text, visibility="private", parent_message_id=parent)


async def _both_wait(who: Onlooker, first: Room, second: Room) -> bool:
    found = [(await who.tool("list_agents", session_id=room.name)) for room in (first, second)]
    return all(
        any(one["name"] == who.name and one["waiting"] for one in each["agents"]) for each in found
    )
