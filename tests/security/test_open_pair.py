"""AUTH=off: whoever calls is unverified, never an admin, never a reserved name."""

import json

import pytest

from tests.clients import frame
from tests.pair import Pair
from tests.security.asking import JSON, ask, broadcast, legacy, modern, say
from tests.security.bad_tokens import BAD_TOKENS, bad_token, bearer
from tests.security.unharmed import MARK, clean, new_room

PATHS = ["modern", "legacy", "rest"]
ALICE = {"X-Partyline-Agent": "alice", "X-Partyline-Agent-Type": "claude"}


async def make(pair: Pair) -> str:
    room = new_room()
    body = b'{"purpose":"open","session_id":"%b"}' % room.encode()
    assert (await modern(pair, "create_session", body)).code is None
    return room


async def contents(pair: Pair, room: str, headers: dict[str, str]) -> list[str]:
    answer = await ask(pair.mcp_url, "GET", f"/api/sessions/{room}/messages", headers)
    return [one["content"] for one in answer.result["messages"]]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("level", ["private", "agent_only", "admin_only"])
async def test_anonymous_writes_only_public(open_pair: Pair, level: str, path: str) -> None:
    room = await make(open_pair)
    members = b'"content":"%b","visibility":"%b"' % (MARK.encode(), level.encode())
    assert clean(await say(path, open_pair, room, members)).code == "FORBIDDEN"
    assert (await say(path, open_pair, room, b'"content":"hello"')).code is None
    assert await contents(open_pair, room, {}) == ["hello"]


@pytest.mark.parametrize("path", PATHS)
async def test_anonymous_sees_only_public(open_pair: Pair, path: str) -> None:
    room = await make(open_pair)
    async with open_pair.viewer(room) as viewer:
        for level in (b"private", b"agent_only", b"public"):
            members = b'"content":"%b","visibility":"%b"' % (level, level)
            assert (await say(path, open_pair, room, members, ALICE)).code is None
        assert (await frame(viewer))["data"]["content"] == "public"
    assert await contents(open_pair, room, {}) == ["public"]
    assert await contents(open_pair, room, ALICE) == ["private", "agent_only", "public"]
    assert await contents(open_pair, room, {"X-Partyline-Agent-Type": "claude"}) == ["public"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "claim",
    [
        {"X-Partyline-Scopes": "admin"},
        {"X-Partyline-Agent-Type": "admin"},
        {"X-Partyline-Admin": "true"},
        {},
    ],
    ids=str,
)
async def test_nobody_becomes_an_admin(open_pair: Pair, claim: dict[str, str], path: str) -> None:
    room = await make(open_pair)
    members = b'"content":"a","visibility":"admin_only"'
    headers = {"X-Partyline-Agent": "root", **claim}
    assert clean(await say(path, open_pair, room, members, headers)).code == "FORBIDDEN"
    assert (await ask(open_pair.ws_url, "GET", "/metrics", headers)).status == 403


ODD_NAMES = ["system", "Human", "ANONYMOUS", "guest", "service", f"{MARK} x", "a/b", "", "\xe9"]


@pytest.mark.parametrize("path", ["modern", "rest"])
@pytest.mark.parametrize("header", ["X-Partyline-Agent", "X-Partyline-Agent-Type"])
async def test_nobody_takes_a_reserved_or_odd_name(open_pair: Pair, header: str, path: str) -> None:
    room = await make(open_pair)
    for name in ODD_NAMES:
        headers = {**ALICE, header: name.encode("latin-1")}
        answer = clean(await say(path, open_pair, room, b'"content":"a"', headers))  # type: ignore[arg-type]
        assert answer.code == "UNAUTHENTICATED", name
    assert await contents(open_pair, room, {}) == []


async def test_a_bad_token_is_not_the_same_as_none(open_pair: Pair) -> None:
    room = await make(open_pair)
    for name in BAD_TOKENS:
        if name == "absent":
            continue
        headers = bearer(bad_token(open_pair, name))
        for path in ("modern", "rest"):
            answer = clean(await say(path, open_pair, room, b'"content":"a"', headers))
            assert (answer.status, answer.code) == (401, "UNAUTHENTICATED"), name


async def test_service_routes_are_not_at_the_port(open_pair: Pair) -> None:
    for headers in ({}, ALICE, bearer(open_pair.token("root", scopes="admin"))):
        for method, path in (
            ("GET", "/api/heads"),
            ("GET", "/api/standing"),
            ("POST", "/api/log"),
        ):
            answer = await ask(open_pair.mcp_url, method, path, {**JSON, **headers}, b"{}")
            assert answer.status == 404
    heads = await ask(open_pair.mcp_socket, "GET", "/api/heads?after=0")
    forged = {"X-Partyline-Epoch": heads.result["epoch"], "X-Partyline-Prev": "0"}
    answer = await broadcast(open_pair, new_room(), b'{"type":"a","data":{}}', forged)
    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")


async def test_a_legacy_call_speaks_for_who_makes_it(open_pair: Pair) -> None:
    room = await make(open_pair)
    arguments = b'{"session_id":"%b","content":"mine","visibility":"private"}' % room.encode()
    assert (await legacy(open_pair, "add_message", arguments, ALICE)).code is None
    arguments = b'{"session_id":"%b"}' % room.encode()
    seen = await legacy(open_pair, "get_messages", arguments, {"X-Partyline-Agent": "bob"})
    assert seen.result["messages"] == []


async def test_the_log_is_json_lines_and_says_so_loudly(open_pair: Pair) -> None:
    for node in (open_pair.mcp, open_pair.ws):
        lines = [json.loads(line) for line in node.output().splitlines()]
        assert any("AUTH IS OFF" in line["message"] for line in lines)
