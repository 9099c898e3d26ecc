"""Closing, changing and the guard against loops over real MCP and REST, for every kind of token."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fastmcp.exceptions import ToolError

from tests.pair import Pair

ROOT = {"kind": "ops", "scopes": "read,write,admin"}


async def test_nothing_is_added_after_closing_whoever_writes(killable: Pair, name: str) -> None:
    async with killable.agent("maker") as maker:
        await maker.call_tool("create_session", {"session_id": name, "purpose": "p"})
        writing = asyncio.Event()

        async def write(number: int) -> list[int]:
            added: list[int] = []
            async with killable.rest(f"agent-{number}") as rest:
                while True:
                    answer = await rest.post(
                        f"/api/sessions/{name}/messages", json={"content": f"{len(added)}"}
                    )
                    if answer.status_code != 201:
                        assert answer.status_code == 409
                        assert answer.json()["error"]["code"] == "SESSION_CLOSED"
                        return added
                    added.append(answer.json()["message_id"])
                    if len(added) == 5:
                        writing.set()

        tasks = [asyncio.create_task(write(number)) for number in range(20)]
        await writing.wait()
        closed = (await maker.call_tool("close_session", {"session_id": name})).structured_content
        newest = await maker.call_tool("get_messages", {"session_id": name, "limit": 1})
        (last,) = newest.structured_content["messages"]
        added = sorted(id_ for some in await asyncio.gather(*tasks) for id_ in some)
        assert added == list(range(added[0], last["id"] + 1))
        view = (await maker.call_tool("get_session", {"session_id": name})).structured_content
        assert (view["message_count"], view["closed_at"]) == (len(added), closed["closed_at"])
    killable.mcp.kill()
    await killable.mcp.start()
    async with killable.agent("agent-1", mode="legacy") as agent:
        with pytest.raises(ToolError, match=r"^SESSION_CLOSED: .*create_session"):
            await agent.call_tool("add_message", {"session_id": name, "content": "a"})


async def test_who_may_close_and_change_over_both_doors(pair: Pair, name: str) -> None:
    async with pair.rest("maker") as maker, pair.rest("other") as other:
        made = await maker.post("/api/sessions", json={"purpose": "p", "session_id": name})
        assert made.json()["closed_at"] is None
        for refused in (
            await other.patch(f"/api/sessions/{name}", json={"purpose": "mine"}),
            await other.post(f"/api/sessions/{name}/close", json={}),
            await maker.patch(f"/api/sessions/{name}", json={"agent_messages": 5}),
        ):
            assert (refused.status_code, code(refused)) == (403, "FORBIDDEN")
        for absent in (
            await maker.patch("/api/sessions/nowhere", json={"purpose": "p"}),
            await maker.post("/api/sessions/nowhere/close", json={}),
        ):
            assert (absent.status_code, code(absent)) == (404, "SESSION_NOT_FOUND")
        for body in ({}, {"purpose": ""}, {"purpose": 1}, {"closed_at": None}):
            bad = await maker.patch(f"/api/sessions/{name}", json=body)
            assert (bad.status_code, code(bad)) == (422, "INVALID_INPUT")
        changed = await maker.patch(f"/api/sessions/{name}", json={"metadata": {"a": 1}})
        assert changed.json() == {
            **{key: made.json()[key] for key in ("session_id", "purpose", "created_by")},
            "created_at": made.json()["created_at"],
            "closed_at": None,
            "metadata": {"a": 1},
            "limits": {"messages_per_minute": 6000, "agent_messages": 0},
        }
        closed = await maker.post(f"/api/sessions/{name}/close", json={})
        assert closed.status_code == 200
        assert (await maker.post(f"/api/sessions/{name}/close", json={})).json() == closed.json()
        late = await maker.patch(f"/api/sessions/{name}", json={"purpose": "late"})
        assert (late.status_code, code(late)) == (409, "SESSION_CLOSED")
        sessions = (await other.get("/api/sessions?limit=1000")).json()["sessions"]
        (listed,) = [one for one in sessions if one["session_id"] == name]
        assert listed["closed_at"] == closed.json()["closed_at"]
        assert listed["message_count"] == 0
    async with pair.agent("other") as agent:
        with pytest.raises(ToolError, match=r"^FORBIDDEN: "):
            await agent.call_tool("close_session", {"session_id": name})
        with pytest.raises(ToolError, match=r"^FORBIDDEN: "):
            await agent.call_tool("update_session", {"session_id": name, "purpose": "mine"})


async def test_the_guard_stops_agents_and_an_admin_lifts_it(tmp_path: Path) -> None:
    pair = Pair(tmp_path, start=("mcp",), AGENT_MESSAGES_WITHOUT_HUMAN=4)
    async with pair, pair.agent("one") as one, pair.agent("two", mode="legacy") as two:
        await one.call_tool("create_session", {"session_id": "room", "purpose": "p"})
        said = {"session_id": "room", "content": "after you"}
        for agent in (one, two, one, two):
            await agent.call_tool("add_message", said)
        for agent in (one, two):
            with pytest.raises(ToolError, match=r"^LOOP_GUARD: .*Stop, and ask a person"):
                await agent.call_tool("add_message", said)
        async with pair.rest("two") as rest:
            over_rest = await rest.post("/api/sessions/room/messages", json={"content": "a"})
            assert (over_rest.status_code, code(over_rest)) == (429, "LOOP_GUARD")
        lifting = {"session_id": "room", "agent_messages": 6, "messages_per_minute": 3}
        with pytest.raises(ToolError, match=r"^FORBIDDEN: .*ask a person"):
            await one.call_tool("update_session", lifting)
        async with pair.agent("root", **ROOT) as root:
            lifted = (await root.call_tool("update_session", lifting)).structured_content
            assert lifted["limits"] == {"messages_per_minute": 3, "agent_messages": 6}
        for agent in (one, two):
            await agent.call_tool("add_message", said)
        with pytest.raises(ToolError, match=r"^LOOP_GUARD: "):
            await one.call_tool("add_message", said)


async def test_what_is_new_is_in_the_openapi_document(pair: Pair) -> None:
    async with pair.rest() as rest:
        document = (await rest.get("/openapi.json")).json()
        session = document["paths"]["/api/sessions/{session_id}"]
        close = document["paths"]["/api/sessions/{session_id}/close"]
        assert {"409", "429"} <= session["patch"]["responses"].keys()
        assert {"404", "429"} <= close["post"]["responses"].keys()
        models = document["components"]["schemas"]
        assert {"closed_at", "message_count", "limits"} <= models["SessionViewAnswer"][
            "properties"
        ].keys()
        assert {"closed_at", "message_count"} <= models["SessionListed"]["properties"].keys()


def code(answer: Any) -> str:
    return str(answer.json()["error"]["code"])
