"""A token that is not valid opens no door, and is refused before the body is read."""

import asyncio
import json

import pytest
import websockets

from proto.tokens import TO_MCP_NODE, TO_WS_NODE
from tests.pair import Pair
from tests.security.asking import ACCEPT, JSON, LEGACY, ask, legacy_session, modern, say
from tests.security.bad_tokens import BAD_TOKENS, bad_token, bearer
from tests.security.unharmed import MARK, clean, make_room, service, unharmed

SAY = b'"content":"%b"' % MARK.encode()


async def test_over_http(pair: Pair) -> None:
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
async def test_over_a_websocket(pair: Pair, way: str) -> None:
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
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await asyncio.wait_for(viewer.recv(), 20)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4500, name
            assert MARK not in closed.value.rcvd.reason


@pytest.mark.parametrize("name", [n for n in BAD_TOKENS if n != "to mcp_node"])
async def test_between_the_nodes(pair: Pair, name: str) -> None:
    headers = bearer(bad_token(pair, name))
    for method, path in (
        ("GET", "/api/heads?after=0"),
        ("GET", "/api/heads/room"),
        ("POST", "/api/log"),
        ("POST", "/api/agents"),
    ):
        answer = await ask(pair.mcp_url, method, path, {**JSON, **headers}, b'{"session_id":')
        assert (clean(answer).status, answer.code) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("scopes", ["read", "read,write,admin"])
async def test_a_principal_is_no_service(pair: Pair, scopes: str) -> None:
    headers = {**JSON, **pair.headers("mallory", scopes=scopes)}
    body = b'{"session_id":"room","after":0,"limit":1}'
    for method, path in (
        ("GET", "/api/heads"),
        ("GET", "/api/heads/a"),
        ("POST", "/api/log"),
        ("POST", "/api/agents"),
    ):
        assert (await ask(pair.mcp_url, method, path, headers, body)).status == 401


async def test_a_service_opens_its_own_routes_only(pair: Pair) -> None:
    body = b'{"session_id":"room","after":0,"limit":1}'
    headers = {**JSON, **service(pair)}
    assert (await ask(pair.mcp_url, "POST", "/api/log", headers, body)).status == 200
    for audience in (TO_MCP_NODE, TO_WS_NODE):
        headers = service(pair, audience)
        room = await make_room(pair)
        assert (await say("rest", pair, room, SAY, headers)).status == 401
        assert (await modern(pair, "list_sessions", b"{}", headers)).status == 401


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


async def test_two_authorization_headers_are_none(pair: Pair) -> None:
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
    answer = await asyncio.wait_for(reader.read(), 5)
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
