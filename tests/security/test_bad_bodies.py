"""Bodies that are not strict JSON of bounded size, on every route that takes one."""

from collections.abc import AsyncIterator

import pytest

from tests.pair import Pair
from tests.security.asking import ACCEPT, JSON, LEGACY, MODERN, Answer, ask, kept_session
from tests.security.bad_messages import nested
from tests.security.unharmed import MARK, clean, unharmed

M = MARK.encode()
ROUTES = ["modern", "legacy", "messages", "sessions", "log", "broadcast"]

BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "INVALID_INPUT"),
    "text": (M, "INVALID_INPUT"),
    "cut": (b'{"content":"%b' % M, "INVALID_INPUT"),
    "two values": (b"{}{}", "INVALID_INPUT"),
    "BOM": (b"\xef\xbb\xbf{}", "INVALID_INPUT"),
    "UTF-16": ('{"content":"a"}'.encode("utf-16"), "INVALID_INPUT"),
    "NaN": (b'{"data":{"a":NaN}}', "INVALID_INPUT"),
    "key twice": (b'{"%b":1,"%b":2}' % (M, M), "INVALID_INPUT"),
    "lone surrogate": (rb'{"a":"\ud800"}', "INVALID_INPUT"),
    "NUL": (rb'{"a":"\u0000"}', "INVALID_INPUT"),
    "65 levels": (nested(66), "INVALID_INPUT"),
    "100,000 levels": (nested(100_000), "INVALID_INPUT"),
    "3 MB": (b'{"a":"' + b"x" * 3_000_000 + b'"}', "TOO_LARGE"),
}
TYPES = {
    "missing": {},
    "text": {"Content-Type": "text/plain"},
    "form": {"Content-Type": "application/x-www-form-urlencoded"},
    "multipart": {"Content-Type": "multipart/form-data; boundary=x"},
    "longer": {"Content-Type": "application/jsonx"},
    "listed": {"Content-Type": "text/plain, application/json"},
    "problem": {"Content-Type": f"application/{MARK}+json"},
}


async def post(
    pair: Pair, route: str, room: str, content: object, kind: dict[str, str] = JSON
) -> Answer:
    """The body to a route that would otherwise take it."""
    alice = pair.headers("mallory")
    if route == "broadcast":
        return await ask(pair.ws_url, "POST", f"/broadcast/{room}", kind, content)
    if route == "modern":
        headers = {**MODERN, "Mcp-Name": "add_message", **ACCEPT, **kind, **alice}
        return await ask(pair.mcp_url, "POST", "/mcp", headers, content)
    if route == "legacy":
        session = await kept_session(pair, alice)
        headers = {**LEGACY, **ACCEPT, **kind, **alice, "Mcp-Session-Id": session}
        return await ask(pair.mcp_url, "POST", "/mcp", headers, content)
    path = {"messages": f"/api/sessions/{room}/messages", "sessions": "/api/sessions"}
    if route == "log":
        return await ask(pair.mcp_socket, "POST", "/api/log", kind, content)
    return await ask(pair.mcp_url, "POST", path[route], {**kind, **alice}, content)


@pytest.mark.parametrize("route", ROUTES)
async def test_a_bad_body_is_refused_on_every_route(pair: Pair, route: str) -> None:
    statuses = {"INVALID_INPUT": 400 if route in ("modern", "legacy") else 422, "TOO_LARGE": 413}
    async with unharmed(pair) as room:
        for bad, (content, code) in BODIES.items():
            answer = clean(await post(pair, route, room, content))
            assert (answer.code, answer.status) == (code, statuses[code]), (bad, answer)


async def pieces(total: int) -> AsyncIterator[bytes]:
    yield b'{"a":"'
    for _ in range(total // 60_000):
        yield b"x" * 60_000
    yield b'"}'


@pytest.mark.parametrize("route", ROUTES)
async def test_three_megabytes_without_a_length_are_too_large(pair: Pair, route: str) -> None:
    async with unharmed(pair) as room:
        answer = clean(await post(pair, route, room, pieces(3_000_000)))
        assert (answer.status, answer.code) == (413, "TOO_LARGE")


@pytest.mark.parametrize("route", ROUTES)
async def test_a_wrong_content_type_is_refused(pair: Pair, route: str) -> None:
    body = b'{"type":"a","data":{},"content":"a","purpose":"a"}'
    async with unharmed(pair) as room:
        for kind, header in TYPES.items():
            answer = clean(await post(pair, route, room, body, header))
            assert (answer.status, answer.code) == (415, "WRONG_MEDIA_TYPE"), kind


@pytest.mark.parametrize("route", ROUTES)
async def test_json_of_another_shape_is_refused(pair: Pair, route: str) -> None:
    async with unharmed(pair) as room:
        for body in (b"[]", b"null", b"7", b'"a"', b"[[]]", b"{}", b'{"a":1}'):
            answer = clean(await post(pair, route, room, body))
            assert 400 <= answer.status < 500 and answer.code, (body, answer)


FOREIGN_JSON_RPC = [
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%b","arguments":{}}}' % M,
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["%b"]}}' % M,
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["%b"]}' % M,
    b'{"jsonrpc":"%b","id":1,"method":"tools/list"}' % M,
    b'{"jsonrpc":"2.0","id":{"%b":1},"method":"tools/list"}' % M,
    b'{"jsonrpc":"2.0","id":1,"method":"%b no word"}' % M,
    b'{"jsonrpc":"2.0","id":1,"method":"%b"}' % (M * 7),
    # MCP's own errors; their form repeats the name that was asked for
    b'{"jsonrpc":"2.0","id":1,"method":"nonsense/do"}',
    b'{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"no://x"}}',
    b'{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"none"}}',
]


@pytest.mark.parametrize("route", ["modern", "legacy"])
async def test_unknown_json_rpc_requests_are_answered_with_an_error(pair: Pair, route: str) -> None:
    async with unharmed(pair) as room:
        for body in FOREIGN_JSON_RPC:
            answer = clean(await post(pair, route, room, body))
            assert answer.code is not None, (body, answer)
