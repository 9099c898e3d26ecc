"""What ws_node passes on for a page: an allow-list, in the caller's name, and nothing else."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from tests.clients import plain_client
from tests.integration.rooms import make_room, say
from tests.links.redeeming import bearer, login_code, redeem
from tests.pair import Pair
from tests.security.bad_tokens import former_service_token
from tests.security.test_doors import raw, status
from tests.waiting import until

NOT_PASSED_ON = [
    ("GET", "/api/heads"),
    ("GET", "/api/heads/{room}"),
    ("POST", "/api/log"),
    ("GET", "/api/revocations"),
    ("POST", "/api/revocations"),
    ("GET", "/api/links"),
    ("POST", "/api/links"),
    ("GET", "/api/redeem"),
    ("PUT", "/api/sessions/{room}"),
    ("DELETE", "/api/sessions/{room}"),
    ("DELETE", "/api/sessions/{room}/messages/x"),
    ("DELETE", "/api/sessions/{room}/messages/1%2F"),
    ("GET", "/api/sessions/"),
    ("GET", "/api/sessions/{room}/"),
    ("GET", "/api//sessions"),
    ("GET", "//api/sessions"),
    ("GET", "/api/./sessions"),
    ("GET", "/api/sessions/../heads"),
    ("GET", "/api/sessions/..%2fheads"),
    ("GET", "/api/sessions/%2e%2e"),
    ("GET", "/api/sessions/..;/heads"),
    ("GET", "/api/%73essions"),
    ("GET", "/api/sessions/{room}%2Fmessages"),
    ("GET", "/api/sessions/{room}/messages%00"),
    ("GET", "/api/sessions/{room}/messages/1"),
    ("GET", "/API/sessions"),
    ("POST", "/mcp"),
    ("GET", "/docs/../api/sessions"),
    ("OPTIONS", "/api/sessions"),
    ("HEAD", "/api/sessions"),
]


@pytest.mark.parametrize(("method", "path"), NOT_PASSED_ON, ids=lambda part: part)
async def test_other_routes_are_not_passed_on(
    pair: Pair, room: str, method: str, path: str
) -> None:
    for token in (pair.headers("root", scopes="read,write,admin"), former_service_token(pair)):
        headers = [
            f"Host: 127.0.0.1:{pair.ws_port}",
            f"Authorization: {token['Authorization']}",
            "Content-Type: application/json",
        ]
        body = b"{}" if method in ("POST", "PUT") else b""
        target = path.replace("{room}", room)
        if method == "HEAD":
            headers.append("Connection: close")
            async with plain_client(base_url=pair.ws_url, headers=token) as client:
                assert (await client.head(target)).status_code in (404, 405)
            continue
        answer = await raw(pair.ws_port, method, target, headers, body)
        assert status(answer) in (400, 404, 405), answer


async def test_a_former_service_token_opens_nothing_here(pair: Pair, room: str) -> None:
    async with plain_client(base_url=pair.ws_url, headers=former_service_token(pair)) as client:
        for path in ("/api/sessions", f"/api/sessions/{room}", "/api/search?query=a"):
            assert (await client.get(path)).status_code == 401
    async with plain_client(base_url=pair.ws_url) as client:
        assert (await client.get("/api/sessions")).status_code == 401
        bad = {"Authorization": "Bearer a.b.c"}
        assert (await client.get("/api/sessions", headers=bad)).status_code == 401


async def test_the_answer_is_mcp_nodes_own(pair: Pair, room: str) -> None:
    headers = pair.headers("alice", sessions=[room])
    async with (
        plain_client(base_url=pair.ws_url, headers=headers) as here,
        plain_client(base_url=pair.mcp_url, headers=headers) as there,
    ):
        said = [await say(here, room, f"ümlaut {n}") for n in range(3)]
        for path in (
            "/api/sessions",
            f"/api/sessions/{room}",
            f"/api/sessions/{room}/messages?after={said[0]}&limit=1",
            f"/api/sessions/{room}/messages?limit=0",
            f"/api/sessions/{room}/messages?sender=a%20b%00",
            f"/api/sessions/{room}-absent/messages",
        ):
            ours, theirs = await here.get(path), await there.get(path)
            assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content), path
            assert ours.headers["content-type"] == theirs.headers["content-type"]
            assert ours.headers["cache-control"] == "no-store"
            assert "server" not in ours.headers and "set-cookie" not in ours.headers
        refused = await here.post(f"/api/sessions/{room}/messages", json={"content": ""})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "INVALID_INPUT")


async def test_headers_of_the_caller_go_no_further() -> None:
    """Among them the names of AUTH=off, and what would say who stands behind a proxy."""
    async with Pair(auth="off") as open_pair:
        await make_room(open_pair, "room")
        headers = {"X-Partyline-Agent": "mallory", "X-Forwarded-For": "1.2.3.4", "Cookie": "a=b"}
        async with plain_client(base_url=open_pair.ws_url, headers=headers) as client:
            await say(client, "room", "who am I")
            page = (await client.get("/api/sessions/room/messages")).json()
        assert [one["sender"] for one in page["messages"]] == ["anonymous"]


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b"{", "application/json", 422),
        (b'{"content":NaN}', "application/json", 422),
        (b'{"content":"a","content":"b"}', "application/json", 422),
        (b"content=a", "application/x-www-form-urlencoded", 415),
        (b'{"content":"' + b"a" * 3_000_000 + b'"}', "application/json", 413),
    ],
    ids=["cut", "nan", "twice", "form", "large"],
)
async def test_bodies_are_held_to_the_same_rule(
    pair: Pair, room: str, content: bytes, kind: str, expected: int
) -> None:
    headers = pair.headers("alice") | {"Content-Type": kind}
    async with plain_client(base_url=pair.ws_url, headers=headers) as client:
        answer = await client.post(f"/api/sessions/{room}/messages", content=content)
        assert answer.status_code == expected, answer.text
        assert (await client.get(f"/api/sessions/{room}/messages")).json()["messages"] == []


@pytest.mark.parametrize("query", ['a="', "a=<b>", "a=" + "b" * 5_000, "a=\\", "a={b}"])
async def test_addresses_that_no_page_writes_are_refused(pair: Pair, query: str) -> None:
    headers = [
        f"Host: 127.0.0.1:{pair.ws_port}",
        f"Authorization: {pair.headers('alice')['Authorization']}",
    ]
    answer = await raw(pair.ws_port, "GET", f"/api/sessions?{query}", headers)
    assert status(answer) in (400, 422), answer


async def test_many_at_once_are_all_answered(pair: Pair, room: str) -> None:
    headers = pair.headers("busy")
    async with plain_client(base_url=pair.ws_url, headers=headers) as client:
        said = await asyncio.gather(*(say(client, room, f"{n}") for n in range(40)))
        assert len(set(said)) == 40
        page = (await client.get(f"/api/sessions/{room}/messages?limit=1000")).json()
    assert sorted(one["id"] for one in page["messages"]) == sorted(said)


async def test_requests_without_mcp_node_are_answered_503_and_pass_again_after(
    tmp_path: Path,
) -> None:
    async with Pair(tmp_path) as own:
        await make_room(own, "room")
        code = await login_code(own)
        own.mcp.kill()
        async with plain_client(base_url=own.ws_url, headers=own.headers()) as client:
            for _ in range(2):
                away = await client.get("/api/sessions")
                assert (away.status_code, away.json()["error"]["code"]) == (503, "UNAVAILABLE")
                assert away.headers["retry-after"]
            assert (await redeem(own, code)).status_code == 503
            await own.mcp.start()
            assert (await client.get("/api/sessions")).status_code == 200
        await until(own.joined)
        assert (await redeem(own, code)).status_code == 200


async def test_an_mcp_node_that_does_not_answer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """A frozen process takes connections and says nothing; live viewers are not held up."""
    async with Pair(tmp_path) as own:
        await make_room(own, "room")
        assert own.mcp.process is not None
        async with plain_client(base_url=own.ws_url, headers=own.headers(), timeout=40) as client:
            own.mcp.process.send_signal(signal.SIGSTOP)
            try:
                asking = asyncio.create_task(client.get("/api/sessions"))
                async with own.viewer("room") as viewer:
                    await viewer.send("ping")
                    assert await viewer.recv() == "pong"
                answer = await asking
            finally:
                own.mcp.process.send_signal(signal.SIGCONT)
            assert answer.status_code == 503
            assert json.loads(answer.text)["error"]["code"] == "UNAVAILABLE"
            assert (await client.get("/api/sessions")).status_code == 200


async def test_the_operator_changes_and_closes_a_session_from_the_page(
    pair: Pair, room: str
) -> None:
    headers = await bearer(pair, await login_code(pair))
    async with plain_client(base_url=pair.ws_url, headers=headers) as page:
        session = f"/api/sessions/{room}"
        changed = await page.patch(session, json={"purpose": "new", "agent_messages": 5})
        assert (changed.status_code, changed.json()["purpose"]) == (200, "new"), changed.text
        assert (await page.post(f"{session}/close", json={})).status_code == 200
        late = await page.post(f"{session}/messages", json={"content": "late"})
        assert late.json()["error"]["code"] == "SESSION_CLOSED"
