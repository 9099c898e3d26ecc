"""A valid token does what its scopes and sessions cover, over every path, and nothing else."""

import json
from typing import Any

import pytest

from tests.clients import closed_with
from tests.pair import Pair
from tests.security.asking import JSON, TOOLS, Answer, ask, broadcast, say
from tests.security.unharmed import MARK, add, clean, make_room, new_room, unharmed

PATHS = ["modern", "legacy", "rest"]


async def read(path: str, pair: Pair, tool: str, headers: dict[str, str], **args: Any) -> Answer:
    """A reading tool, or the REST route that does the same."""
    if path != "rest":
        return await TOOLS[path](pair, tool, json.dumps(args).encode(), headers)
    routes = {
        "list_sessions": "/api/sessions",
        "get_session": f"/api/sessions/{args.get('session_id')}",
        "get_messages": f"/api/sessions/{args.get('session_id')}/messages",
    }
    return await ask(pair.mcp_url, "GET", routes[tool], headers)


async def create(path: str, pair: Pair, room: str, headers: dict[str, str]) -> Answer:
    body = b'{"purpose":"%b","session_id":"%b"}' % (MARK.encode(), room.encode())
    if path != "rest":
        return await TOOLS[path](pair, "create_session", body, headers)
    return await ask(pair.mcp_url, "POST", "/api/sessions", {**JSON, **headers}, body)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("sessions", [[], ["another-room"]], ids=["none", "another"])
async def test_a_token_for_other_sessions_finds_no_session(
    pair: Pair, sessions: list[str], path: str
) -> None:
    headers = pair.headers("mallory", sessions=sessions)
    async with unharmed(pair) as room:
        absent = new_room()
        for name, arguments in (("get_session", {}), ("get_messages", {})):
            there = clean(await read(path, pair, name, headers, session_id=room, **arguments))
            nowhere = await read(path, pair, name, headers, session_id=absent, **arguments)
            assert there.code == "SESSION_NOT_FOUND"
            assert (there.status, there.text) == (nowhere.status, nowhere.text)
        there = clean(await say(path, pair, room, b'"content":"a"', headers))
        nowhere = await say(path, pair, absent, b'"content":"a"', headers)
        assert there.code == "SESSION_NOT_FOUND"
        assert (there.status, there.text) == (nowhere.status, nowhere.text)
        listed = await read(path, pair, "list_sessions", headers)
        assert room not in listed.text
        assert listed.result["sessions"] == []
        refused = [clean(await create(path, pair, name, headers)) for name in (room, absent)]
        assert {(answer.code, answer.status, answer.text) for answer in refused} == {
            ("FORBIDDEN", refused[0].status, refused[0].text)
        }


async def closed_code(pair: Pair, room: str, **rights: Any) -> int:
    async with pair.viewer(room, "mallory", **rights) as viewer:
        return await closed_with(viewer)


async def test_viewers_are_held_to_their_sessions_and_scopes(pair: Pair) -> None:
    async with unharmed(pair) as room:
        assert await closed_code(pair, room, sessions=["another-room"]) == 4501
        assert await closed_code(pair, room, sessions=[]) == 4501
        assert await closed_code(pair, room, scopes="write") == 4501
        assert await closed_code(pair, new_room(), sessions=[room]) == 4501


@pytest.mark.parametrize("path", PATHS)
async def test_a_reading_token_does_not_write(pair: Pair, path: str) -> None:
    headers = pair.headers("mallory", scopes="read")
    async with unharmed(pair) as room:
        assert clean(await say(path, pair, room, b'"content":"a"', headers)).code == "FORBIDDEN"
        assert clean(await create(path, pair, new_room(), headers)).code == "FORBIDDEN"
        assert (await read(path, pair, "get_session", headers, session_id=room)).code is None


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scopes", ["write", "admin", "write,admin"])
async def test_a_writing_token_does_not_read(pair: Pair, scopes: str, path: str) -> None:
    headers = pair.headers("mallory", scopes=scopes)
    room = await make_room(pair)
    await add(pair, room, content=MARK)
    for tool in ("list_sessions", "get_session", "get_messages"):
        answer = clean(await read(path, pair, tool, headers, session_id=room))
        assert answer.code in ("FORBIDDEN", "INVALID_INPUT"), answer  # list takes no session_id


@pytest.mark.parametrize("path", PATHS)
async def test_admin_only_needs_admin_and_reading_it_too(pair: Pair, path: str) -> None:
    room = await make_room(pair)
    await add(
        pair,
        room,
        content=MARK,
        visibility="admin_only",
        agent="root",
        scopes="read,write,admin",
    )
    plain = await read(path, pair, "get_messages", pair.headers("mallory"), session_id=room)
    assert clean(plain).result["messages"] == []
    boss = pair.headers("boss", scopes="read,admin")
    seen = await read(path, pair, "get_messages", boss, session_id=room)
    assert [one["content"] for one in seen.result["messages"]] == [MARK]


async def test_admin_does_not_read_what_is_private(pair: Pair) -> None:
    room = await make_room(pair)
    await add(pair, room, content=MARK, visibility="private", agent="owner")
    boss = pair.headers("boss", scopes="read,admin")
    for path in PATHS:
        seen = await read(path, pair, "get_messages", boss, session_id=room)
        assert seen.result["messages"] == []
        view = await read(path, pair, "get_session", boss, session_id=room)
        assert clean(view).result["messages"] == []


async def test_what_may_not_be_seen_moves_no_activity_time(pair: Pair) -> None:
    room = await make_room(pair)
    await add(pair, room, content="seen")
    headers = pair.headers("mallory", kind="codex", sessions=[room])
    before = await read("rest", pair, "list_sessions", headers)
    await add(pair, room, content=MARK, visibility="private", agent="owner")
    await add(pair, room, content=MARK, visibility="agent_only", agent="owner")
    assert (await read("rest", pair, "list_sessions", headers)).text == before.text


async def test_metrics_want_an_admin(pair: Pair) -> None:
    for url in (pair.mcp_url, pair.ws_url):
        plain = await ask(url, "GET", "/metrics", pair.headers("mallory"))
        assert (clean(plain).status, plain.code) == (403, "FORBIDDEN")
        boss = await ask(url, "GET", "/metrics", pair.headers("boss", scopes="admin"))
        assert boss.status == 200
        assert "partyline_" in boss.text and "mallory" not in boss.text


async def test_health_readiness_and_broadcast_need_no_token(pair: Pair) -> None:
    assert (await ask(pair.mcp_url, "GET", "/healthz")).text == '{"status":"ok"}'
    words = (await ask(pair.ws_url, "GET", "/readyz")).result
    assert words == {"status": "ready", "log": "followed", "address": pair.ws_url}
    assert (await broadcast(pair, new_room(), b'{"type":"a","data":{}}')).status == 200
