"""A token that is not valid opens no door, and is refused before the body is read."""

import asyncio
import json

import pytest
import websockets

from tests.clients import closed_with
from tests.pair import Pair
from tests.security.asking import ACCEPT, JSON, LEGACY, ask, legacy_session, say
from tests.security.bad_tokens import BAD_TOKENS, bad_token, bearer, former_service_token
from tests.security.unharmed import MARK, clean, unharmed
from tests.waiting import PATIENCE

SAY = b'"content":"%b"' % MARK.encode()


async def test_bad_tokens_are_refused_over_http(pair: Pair) -> None:
    session = {"Mcp-Session-Id": await legacy_session(pair, pair.headers("mallory"))}
    listing = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    async with unharmed(pair) as room:
        for name in BAD_TOKENS:
            bad = bearer(bad_token(pair, name))
            in_session = {**LEGACY, **ACCEPT, **session, **bad}
            answers = [
                await ask(pair.mcp_url, "GET", "/api/sessions", bad),
                await ask(pair.mcp_url, "GET", f"/api/sessions/{room}", bad),
                await ask(pair.mcp_url, "GET", f"/api/sessions/{room}/messages", bad),
                await ask(pair.mcp_url, "GET", "/metrics", bad),
                await ask(pair.ws_url, "GET", "/metrics", bad),
                await say("rest", pair, room, SAY, bad),
                await say("modern", pair, room, SAY, bad),
                await ask(pair.mcp_url, "POST", "/mcp", {**JSON, **in_session}, listing),
                await ask(pair.mcp_url, "GET", "/mcp", in_session),
                await ask(pair.mcp_url, "DELETE", "/mcp", in_session),
            ]
            for answer in map(clean, answers):
                assert answer.status == 401, (name, answer)
                assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("way", ["header", "subprotocol"])
async def test_bad_tokens_are_refused_over_a_websocket(pair: Pair, way: str) -> None:
    async with unharmed(pair) as room:
        for name in BAD_TOKENS:
            token = bad_token(pair, name)
            by_subprotocol = [f"bearer.{token}"] if token and way == "subprotocol" else []
            async with websockets.connect(
                f"ws://127.0.0.1:{pair.ws_port}/ws/{room}",
                additional_headers=bearer(token) if way == "header" else {},
                subprotocols=[
                    websockets.Subprotocol(one) for one in ("partyline", *by_subprotocol)
                ],
                proxy=None,
            ) as viewer:
                assert viewer.subprotocol == "partyline"
                assert await closed_with(viewer) == 4500, name
            assert MARK not in (viewer.close_reason or "")


BETWEEN_NODES = [
    ("GET", "/api/heads?after=0"),
    ("GET", "/api/heads/room"),
    ("GET", "/api/standing"),
    ("POST", "/api/heads"),
    ("POST", "/api/log"),
    ("GET", "/api/log"),
    ("POST", "/api/agents"),
    ("POST", "/api/prune"),
    ("GET", "/api/revocations"),
    ("POST", "/api/revocations"),
    ("GET", "/api/links"),
    ("POST", "/api/links"),
]


@pytest.mark.parametrize(("method", "path"), BETWEEN_NODES)
async def test_routes_between_the_nodes_are_not_at_the_port(
    pair: Pair, method: str, path: str
) -> None:
    """Whoever asks gets what an address that does not exist would answer."""
    for headers in (
        {},
        former_service_token(pair),
        pair.headers("mallory", scopes="read,write,admin"),
        {"X-Partyline-Signature": f"v1 1 {'0' * 32} {'0' * 32} {'0' * 64} {'0' * 64}"},
    ):
        asking = {**JSON, **headers}
        there = clean(await ask(pair.mcp_url, method, path, asking, b'{"session_id":"a"}'))
        nowhere = await ask(pair.mcp_url, method, "/api/nowhere", asking, b'{"session_id":"a"}')
        assert (there.status, there.text) == (nowhere.status, nowhere.text)
        assert there.status in (401, 404)


async def test_at_the_socket_no_token_is_needed_but_a_principals_routes_want_theirs(
    pair: Pair,
) -> None:
    body = b'{"session_id":"room","after":0,"limit":1}'
    assert (await ask(pair.mcp_socket, "POST", "/api/log", JSON, body)).status == 200
    for headers in ({}, former_service_token(pair), bearer("a.b.c")):
        answer = await ask(pair.mcp_socket, "GET", "/api/sessions", headers)
        assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "token={}; Authorization=Bearer {}; access_token={}"},
        {"X-Authorization": "Bearer {}"},
        {"Proxy-Authorization": "Bearer {}"},
        {"Authorization": "Basic {}"},
        {"Authorization": "{}"},
        {"Authorization": "Bearer{}"},
        {"Authorization": "Bearer {} {}"},
        {"Sec-WebSocket-Protocol": "partyline, bearer.{}"},
    ],
    ids=str,
)
@pytest.mark.parametrize("query", ["", "?token={}&access_token={}&authorization=Bearer%20{}"])
async def test_a_token_counts_in_the_authorization_header_only(
    pair: Pair, headers: dict[str, str], query: str
) -> None:
    token = pair.token("alice")
    sent = {name: value.replace("{}", token) for name, value in headers.items()}
    address = query.replace("{}", token)
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    for path in (f"/api/sessions{address}", f"/mcp{address}"):
        for method in ("GET", "POST"):
            answer = await ask(pair.mcp_url, method, path, {**ACCEPT, **JSON, **sent}, body)
            assert answer.status == 401, (path, method)


async def test_two_authorization_headers_are_refused(pair: Pair) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", pair.mcp_port)
    lines = [
        "POST /mcp HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: close",
        "Content-Type: application/json",
        "Content-Length: 2",
        *(f"Authorization: Bearer {pair.token(name)}" for name in ("alice", "bob")),
    ]
    writer.write("\r\n".join([*lines, "", "{}"]).encode())
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_a_refused_token_costs_no_parsing_of_the_body(pair: Pair) -> None:
    """The body is broken JSON, too large, and of a wrong type: the token is what is refused."""
    for path in ("/mcp", "/api/sessions", "/api/log"):
        for kind, body in ((JSON, b"[" * 2_000_000), ({"Content-Type": "text/plain"}, b"{" * 9)):
            answer = await ask(pair.mcp_url, "POST", path, {**kind, **bearer("a.b.c")}, body)
            assert (answer.status, answer.code) == (401, "UNAUTHENTICATED"), answer
    answer = await ask(pair.mcp_url, "POST", "/mcp", bearer("a.b.c"), b"")
    assert json.loads(answer.text)["error"]["code"] == -32600
