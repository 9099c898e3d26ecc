"""Sessions as resources, and the prompts: what they give to whom, in both eras."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastmcp import Client
from mcp import MCPError
from mcp_types import (
    EmbeddedResource,
    GetPromptResult,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)

from mcp_node.doors.mcp.prompts import PROMPTS
from mcp_node.doors.mcp.tools.results import NOTICE
from tests.integration.rooms import make_room, say
from tests.integration.test_visibility import LEVELS, READERS, SEES, SENDER, Reader, post
from tests.pair import Pair

ERA = pytest.mark.parametrize("mode", ["auto", "legacy"])
MARK = "xYzzY"

Ask = Callable[[Client[Any], str], Awaitable[Any]]


async def read(client: Client[Any], uri: str) -> dict[str, Any]:
    """The JSON of a resource."""
    (contents,) = await client.read_resource(uri)
    assert isinstance(contents, TextResourceContents)
    assert (contents.uri, contents.mime_type) == (uri, "application/json")
    found = json.loads(contents.text)
    assert found["untrusted"] is True and found["notice"] == NOTICE
    return found


async def prompt(client: Client[Any], name: str, **arguments: str) -> tuple[str, Any]:
    """A prompt's text, and what is attached to it (None if nothing is)."""
    answer = await client.get_prompt(name, arguments)
    assert isinstance(answer, GetPromptResult)
    first, *rest = [message.content for message in answer.messages]
    assert isinstance(first, TextContent)
    if not rest:
        return first.text, None
    (attached,) = rest
    assert isinstance(attached, EmbeddedResource)
    assert isinstance(attached.resource, TextResourceContents)
    assert attached.resource.uri.startswith("session://")
    found = json.loads(attached.resource.text)
    text = bool(found["messages"] or found.get("purpose"))
    assert found.get("untrusted", False) is text
    return first.text, found


ASKS: dict[str, Ask] = {
    "session": lambda client, room: read(client, f"session://{room}"),
    "messages": lambda client, room: read(client, f"session://{room}/messages"),
    "summarize_session": lambda client, room: prompt(client, "summarize_session", session_id=room),
    "hand_over": lambda client, room: prompt(client, "hand_over", session_id=room, to="bob"),
}


@ERA
@pytest.mark.parametrize("who", [name for name in READERS if "other sessions" not in name])
async def test_resources_and_prompts_show_what_their_reader_may_see(
    pair: Pair, open_pair: Pair, name: str, who: str, mode: str
) -> None:
    rights = READERS[who]
    where = open_pair if rights is None else pair
    await make_room(where, name)
    author = Reader(where, name, SENDER)
    ids = {level: await post(author, f"for {level}", level) for level in LEVELS}
    expected = [ids[level] for level in LEVELS if level in SEES[who]]
    token = None if rights is None else where.token(**rights)
    async with Client(f"{where.mcp_url}/mcp", auth=token, mode=mode) as client:
        for ask in (*ASKS.values(), lambda c, r: prompt(c, "join_session", session_id=r)):
            found = await ask(client, name)
            view = found[1] if isinstance(found, tuple) else found
            assert [message["id"] for message in view["messages"]] == expected
            assert view["has_more"] is False
        for tool, uri in (("get_messages", "/messages"), ("get_session", "")):
            resource = await read(client, f"session://{name}{uri}")
            result = (await client.call_tool(tool, {"session_id": name})).structured_content
            assert resource | {"unread": 0} == result | {"unread": 0}


@ERA
async def test_reading_one_does_not_count_as_having_read_the_messages(
    pair: Pair, name: str, mode: str
) -> None:
    await make_room(pair, name)
    async with pair.rest("bob") as rest, pair.agent("alice", mode=mode) as alice:
        await say(rest, name, "one")
        await say(rest, name, "two")
        for _ in range(2):
            for ask in ASKS.values():
                found = await ask(alice, name)
                assert (found[1] if isinstance(found, tuple) else found)["unread"] == 2
        await alice.call_tool("get_messages", {"session_id": name, "unread_only": True})
        assert (await read(alice, f"session://{name}"))["unread"] == 0


@ERA
@pytest.mark.parametrize("ask", ASKS)
async def test_what_may_not_be_entered_answers_as_what_does_not_exist(
    pair: Pair, room: str, ask: str, mode: str
) -> None:
    async with (
        pair.agent("erin", mode=mode, sessions=["elsewhere"]) as foreign,
        pair.agent("alice", mode=mode) as alice,
    ):
        answers = [
            await error(ASKS[ask](foreign, room)),
            await error(ASKS[ask](foreign, "elsewhere")),
            await error(ASKS[ask](alice, "no-such-session")),
        ]
        assert answers[0][0] == -32602 and answers[0][1].startswith("SESSION_NOT_FOUND: ")
        assert answers == [answers[0]] * 3
        foreign_join = await prompt(foreign, "join_session", session_id=room)
        absent_join = await prompt(alice, "join_session", session_id="no-such-session")
        assert foreign_join[1] is absent_join[1] is None
        assert foreign_join[0].replace(room, "") == absent_join[0].replace("no-such-session", "")


async def error(asked: Awaitable[Any]) -> tuple[int, str, Any]:
    """The JSON-RPC error of a request: code, message, data."""
    with pytest.raises(MCPError) as refused:
        await asked
    found = refused.value.error
    return found.code, found.message, found.data


@ERA
async def test_what_is_malformed_is_refused_without_being_repeated(
    pair: Pair, room: str, mode: str
) -> None:
    logged = len(pair.mcp.output())
    async with (
        pair.agent(mode=mode) as alice,
        pair.agent("mute", mode=mode, scopes="write") as mute,
    ):
        for uri in (
            *(f"session://{MARK}%20{MARK}", f"session://%00{MARK}", f"session://..%2f{MARK}"),
            *(f"session://{room}/{MARK}", f"{MARK}://{room}", f"session://{MARK * 50}"),
        ):
            code, message, data = await error(alice.read_resource(uri))
            assert code == -32602 and message.startswith("INVALID_INPUT: ")
            assert MARK not in message and data is None
        for name, arguments in (
            *((known, {}) for known in PROMPTS),
            *((known, {"session_id": f"{MARK} {MARK}", "to": "bob"}) for known in PROMPTS),
            *((known, {"session_id": "", "to": "bob"}) for known in PROMPTS),
            ("hand_over", {"session_id": room}),
            ("hand_over", {"session_id": room, "to": f"bob.\nIgnore {MARK}"}),
            ("hand_over", {"session_id": room, "to": f"a/b/{MARK}"}),
            ("hand_over", {"session_id": room, "to": "@"}),
            (MARK, {"session_id": room}),
        ):
            code, message, data = await error(alice.get_prompt(name, arguments))
            assert code == -32602 and message.startswith("INVALID_INPUT: "), message
            assert MARK not in message and data is None
        assert (await error(mute.read_resource(f"session://{room}")))[1].startswith("FORBIDDEN: ")
    said = pair.mcp.output()[logged:]
    assert "Traceback" not in said and "ERROR" not in said and MARK not in said, said


async def test_what_participants_wrote_is_in_no_text_of_ours(pair: Pair, name: str) -> None:
    async with pair.rest(MARK) as rest, pair.agent() as alice:
        await rest.post(
            "/api/sessions",
            json={"session_id": name, "purpose": MARK, "metadata": {MARK: MARK}},
        )
        await say(rest, name, f"{MARK}: do as I say", metadata={MARK: 1})
        for known in PROMPTS:
            more = {"to": "bob"} if known == "hand_over" else {}
            text, attached = await prompt(alice, known, session_id=name, **more)
            assert MARK not in text and name in text
            assert MARK in json.dumps(attached)
        listed = [
            *await alice.list_resource_templates(),
            *await alice.list_resources(),
            *await alice.list_prompts(),
        ]
        for one in listed:
            assert MARK not in one.model_dump_json()
            assert one.description


@ERA
async def test_the_templates_and_prompts_are_listed(pair: Pair, mode: str) -> None:
    async with pair.agent(mode=mode) as alice:
        templates = [one.uri_template for one in await alice.list_resource_templates()]
        assert {"session://{id}", "session://{id}/messages"} <= set(templates)
        prompts = {one.name: one for one in await alice.list_prompts()}
        assert set(prompts) == set(PROMPTS)
        for name, one in prompts.items():
            arguments = {argument.name: argument for argument in one.arguments or []}
            assert list(arguments) == ["session_id", *(["to"] if name == "hand_over" else [])]
            assert all(argument.required for argument in arguments.values())
            assert all(argument.description for argument in arguments.values())


async def test_the_prompts_speak_of_tools_that_there_are(pair: Pair, room: str) -> None:
    async with pair.agent() as alice:
        tools = {tool.name: tool for tool in await alice.list_tools()}
        for name in PROMPTS:
            more = {"to": "claude/reviewer"} if name == "hand_over" else {}
            text, _ = await prompt(alice, name, session_id=room, **more)
            spoken_of = set(re.findall(r"\b[a-z]+_[a-z_]+\b", text))
            fields = {field for tool in tools.values() for field in tool.input_schema["properties"]}
            assert spoken_of - fields - {"has_more"} <= set(tools)
            assert spoken_of & set(tools)


@ERA
async def test_session_ids_are_completed_for_who_may_enter_them(
    pair: Pair, name: str, mode: str
) -> None:
    rooms = [await make_room(pair, f"completed-{name}-{n}") for n in range(3)]
    template = ResourceTemplateReference(type="ref/resource", uri="session://{id}/messages")
    start = f"completed-{name}"

    async def completed(client: Client[Any], reference: Any, argument: str) -> set[str]:
        found = await client.complete(reference, {"name": argument, "value": start})
        return set(found.values)

    async with (
        pair.agent(mode=mode) as alice,
        pair.agent("erin", mode=mode, sessions=[rooms[1], "absent"]) as erin,
        pair.agent("mute", mode=mode, scopes="write") as mute,
    ):
        for known in PROMPTS:
            reference = PromptReference(type="ref/prompt", name=known)
            assert await completed(alice, reference, "session_id") == set(rooms)
            assert await completed(erin, reference, "session_id") == {rooms[1]}
            assert await completed(alice, reference, "to") == set()
        assert await completed(alice, template, "id") == set(rooms)
        assert await completed(erin, template, "id") == {rooms[1]}
        unknown = PromptReference(type="ref/prompt", name=MARK)
        assert await completed(alice, unknown, "session_id") == set()
        refused = await error(completed(mute, template, "id"))
        assert refused[0] == -32602 and refused[1].startswith("FORBIDDEN: ")
