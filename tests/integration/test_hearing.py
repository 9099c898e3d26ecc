"""Hearing over real HTTP: agents wait, people see who is there, and nothing hangs."""

import asyncio
import json
from typing import Any

import pytest
from fastmcp.exceptions import ToolError

from tests.integration.rooms import make_room, say
from tests.integration.test_revocation import WITHIN
from tests.pair import Pair
from tests.waiting import until

MODES = ["auto", "legacy"]


async def call(agent: Any, tool: str, session_id: str, **arguments: Any) -> Any:
    answer = await agent.call_tool(tool, {"session_id": session_id, **arguments})
    return answer.structured_content


async def waiting(pair: Pair, room: str) -> set[str]:
    """Who waits in a room."""
    async with pair.rest("onlooker") as rest:
        agents = (await rest.get(f"/api/sessions/{room}/agents")).json()["agents"]
    return {one["name"] for one in agents if one["waiting"]}


@pytest.mark.parametrize("mode", MODES)
async def test_a_conversation_of_ten_turns_by_waiting_alone(
    pair: Pair, room: str, mode: str
) -> None:
    """Two agents that only know the session id; each answers what it hears."""
    said: list[str] = []

    async def talk(name: str, begins: bool) -> None:
        async with pair.agent(name, mode=mode) as agent:
            if begins:
                await call(agent, "add_message", room, content="turn 1")
            while True:
                heard = await call(agent, "wait_for_messages", room, timeout_seconds=20)
                assert heard["outcome"] == "messages"
                assert heard["untrusted"] is True
                (message,) = heard["messages"]
                assert message["sender"] != name
                said.append(message["content"])
                turn = int(message["content"].removeprefix("turn "))
                if turn < 10:
                    added = await call(agent, "add_message", room, content=f"turn {turn + 1}")
                    assert added["unread"] == 0
                if turn >= 9:
                    return

    await asyncio.gather(talk("ann", True), talk("ben", False))
    assert said == [f"turn {number}" for number in range(1, 11)]


@pytest.mark.parametrize("mode", MODES)
async def test_who_waits_is_told_that_it_still_does(pair: Pair, room: str, mode: str) -> None:
    told: list[float] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append(done)

    async with pair.agent("patient", mode=mode) as agent:
        answer = await agent.call_tool(
            "wait_for_messages",
            {"session_id": room, "timeout_seconds": 10.5},
            progress_handler=progress,
        )
    assert answer.structured_content["outcome"] == "timeout"
    assert told
    assert told == sorted(told)


async def test_a_client_that_goes_away_waits_no_more(pair: Pair, room: str) -> None:
    async with pair.agent("leaver") as agent:
        call_ = asyncio.create_task(call(agent, "wait_for_messages", room))
        await until(lambda: _waits(pair, room, {"leaver"}))
        call_.cancel()
        await asyncio.gather(call_, return_exceptions=True)
    await until(lambda: _waits(pair, room, set()))
    async with pair.rest() as rest:
        await say(rest, room, "are you there?")
    async with pair.agent("leaver") as agent:
        heard = await call(agent, "wait_for_messages", room)
        assert [one["content"] for one in heard["messages"]] == ["are you there?"]


async def _waits(pair: Pair, room: str, names: set[str]) -> bool:
    return await waiting(pair, room) == names


@pytest.mark.parametrize("mode", MODES)
async def test_a_node_that_stops_answers_those_who_wait(
    killable: Pair, name: str, mode: str
) -> None:
    room = await make_room(killable, name)
    async with killable.agent("stayer", mode=mode) as agent:
        await agent.list_tools()  # a legacy client would ask for them to check the answer
        call_ = asyncio.create_task(call(agent, "wait_for_messages", room))
        await until(lambda: _waits(killable, room, {"stayer"}))
        code, _ = await killable.mcp.stop()
        assert (await call_)["outcome"] == "server_stopping"
        assert code == 0
        await killable.mcp.start()  # a legacy client says goodbye when it leaves


async def test_a_revoked_token_waits_no_more(pair: Pair, room: str) -> None:
    async with pair.agent("goner") as agent:
        call_ = asyncio.create_task(call(agent, "wait_for_messages", room))
        await until(lambda: _waits(pair, room, {"goner"}))
        async with pair.service() as mcp:
            answer = await mcp.post("/api/revocations", json={"agent_id": "goner"})
        assert answer.status_code == 201
        await until(lambda: _waits(pair, room, set()), within=WITHIN)
        await asyncio.gather(call_, return_exceptions=True)


async def test_unread_is_on_every_result_of_a_session(pair: Pair, room: str) -> None:
    async with pair.agent("reader") as agent, pair.rest("talker") as rest:
        assert (await call(agent, "create_session", room, purpose="x"))["unread"] == 0
        id_ = await say(rest, room, "@reader hello")
        assert (await call(agent, "create_session", room, purpose="x"))["unread"] == 1
        assert (await call(agent, "add_message", room, content="busy"))["unread"] == 1
        assert (await call(agent, "list_agents", room))["unread"] == 1
        listed = (await agent.call_tool("list_sessions", {"limit": 1000})).structured_content
        counts = {one["session_id"]: one["unread"] for one in listed["sessions"]}
        assert counts[room] == 1
        receipts = await call(agent, "get_receipts", room, message_id=id_)
        assert receipts["unread"] == 1
        assert (await call(agent, "get_messages", room, sender="someone"))["unread"] == 1
        assert (await call(agent, "get_messages", room, sender="talker"))["unread"] == 0
        assert (await call(agent, "get_session", room))["unread"] == 0
        receipts = await call(agent, "get_receipts", room, message_id=id_)
        assert [one["name"] for one in receipts["given"]] == ["reader"]
        assert receipts["mentioned"][0]["state"] == "given"


async def test_a_position_survives_kill_9(killable: Pair, name: str) -> None:
    room = await make_room(killable, name)
    async with killable.rest("talker") as rest:
        for number in range(3):
            await say(rest, room, f"word {number}")
    async with killable.agent("reader") as agent:
        assert (await call(agent, "get_messages", room, after=0, limit=2))["unread"] == 1
    async with killable.rest("talker") as rest:  # what asks for receipts waits for positions
        page = (await rest.get(f"/api/sessions/{room}/messages")).json()
    async with killable.agent("talker") as agent:
        first = page["messages"][0]["id"]
        receipts = await call(agent, "get_receipts", room, message_id=first)
        assert [one["name"] for one in receipts["given"]] == ["reader"]
    killable.mcp.kill()
    await killable.mcp.start()
    async with killable.agent("reader") as agent:
        page = await call(agent, "get_messages", room, unread_only=True)
        assert [one["content"] for one in page["messages"]] == ["word 2"]


async def test_sub_agents_are_shown_with_their_principal(pair: Pair, room: str) -> None:
    async with pair.agent("claude-main") as agent:
        await call(agent, "add_message", room, content="fine", speaking_as="reviewer")
        for bad in ("human", "a/b", "", "x" * 65, "a b"):
            with pytest.raises(ToolError, match="INVALID_INPUT"):
                await call(agent, "add_message", room, content="no", speaking_as=bad)
        page = await call(agent, "get_messages", room, sender="claude-main/reviewer")
    assert [one["sender"] for one in page["messages"]] == ["claude-main/reviewer"]
    async with pair.agent("other") as agent, pair.viewer(room, query="?since=0") as viewer:
        await viewer.recv()
        assert json.loads(await viewer.recv())["data"]["sender"] == "claude-main/reviewer"
        (listed,) = [
            one
            for one in (await call(agent, "list_agents", room))["agents"]
            if one["name"].startswith("claude-main")
        ]
        assert listed["name"] == "claude-main"


async def test_a_person_says_how_far_it_has_read(pair: Pair, room: str) -> None:
    async with pair.rest("talker") as rest:
        ids = [await say(rest, room, f"word {number}") for number in range(3)]
    async with pair.rest("person") as rest:
        answer = await rest.post(f"/api/sessions/{room}/read", json={"through": ids[1]})
        assert (answer.status_code, answer.json()) == (200, {"unread": 1})
        for bad in ({}, {"through": 0}, {"through": "1"}, {"through": 2**60}, {"x": 1}):
            answer = await rest.post(f"/api/sessions/{room}/read", json=bad)
            assert answer.status_code == 422
        answer = await rest.post("/api/sessions/nowhere/read", json={"through": 1})
        assert answer.status_code == 404
    async with pair.rest("stranger", sessions=["elsewhere"]) as rest:
        assert (await rest.get(f"/api/sessions/{room}/agents")).status_code == 404
    async with pair.rest("deaf", scopes="write") as rest:
        assert (await rest.get(f"/api/sessions/{room}/agents")).status_code == 403


async def test_rest_refuses_a_message_that_others_have_overtaken(pair: Pair, room: str) -> None:
    async with pair.rest("ann") as ann, pair.rest("ben") as ben, pair.agent("ben") as agent:
        first = await say(ann, room, "I do it")
        body = {"content": "I do it", "if_last_seen": 0}
        answer = await ben.post(f"/api/sessions/{room}/messages", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "MOVED_ON")
        (told,) = answer.json()["error"]["messages"]
        assert (told["id"], told["content"]) == (first, "I do it")
        heard = await call(agent, "wait_for_messages", room, timeout_seconds=0)
        assert [message["id"] for message in heard["messages"]] == [first]  # REST marked nothing
        body["if_last_seen"] = first
        assert (await ben.post(f"/api/sessions/{room}/messages", json=body)).status_code == 201
