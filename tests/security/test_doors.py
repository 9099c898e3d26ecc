"""Foreign Hosts and Origins stay outside, over HTTP and WebSocket, on both nodes."""

import asyncio
from collections.abc import Iterable

import pytest

from tests.pair import Pair
from tests.security.unharmed import MARK, make_room, unharmed
from tests.waiting import PATIENCE


async def raw(
    port: int, method: str, path: str, headers: Iterable[str], body: bytes = b""
) -> bytes:
    """One request with exactly these header lines; everything that came back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = [f"{method} {path} HTTP/1.1", *headers, f"Content-Length: {len(body)}", "", ""]
    writer.write("\r\n".join(head).encode("latin-1") + body)
    try:
        first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        status = int(first.split()[1])
        if status == 101:
            return first
        length = next(
            int(line.split(b":")[1])
            for line in first.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        return first + await asyncio.wait_for(reader.readexactly(length), PATIENCE)
    finally:
        writer.close()


def status(answer: bytes) -> int:
    return int(answer.split()[1])


def upgrade(pair: Pair, *headers: str) -> list[str]:
    return [
        *headers,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Authorization: Bearer {pair.token('alice')}",
    ]


FOREIGN_HOSTS = [
    *("evil.example", "evil.example:{own}", f"{MARK}.example", "localhost.evil.example", "0.0.0.0"),
    *("localhost.", "127.0.0.1.:{own}", "127.0.0.2:{own}", "[::]:{own}", "2130706433", "127.1"),
    *("user@localhost:{own}", "localhost:{own}/", "localhost:99999", "localhost:x", ":{own}"),
    *("localhost,evil.example", "localhost evil", "[::1", "LOCALHOST\x00", "*"),
]
FOREIGN_ORIGINS = [
    *("null", "http://evil.example", f"http://{MARK}.example", "http://127.0.0.1:{other}"),
    *("https://127.0.0.1:{own}", "http://127.0.0.1", "http://localhost:{own}"),
    *("http://127.0.0.1:{own}/", "http://127.0.0.1:{own}.evil.example", "http://127.0.0.1:{own}0"),
    *("http://x@127.0.0.1:{own}", "http://127.0.0.1:{own}, http://evil.example", "file://"),
    *("ws://127.0.0.1:{own}", "127.0.0.1:{own}", "http://127.0.0.1.:{own}", "chrome-extension://a"),
]
HTTP_DOORS = [
    ("mcp", "GET", "/healthz"),
    ("mcp", "GET", "/api/sessions"),
    ("mcp", "POST", "/api/sessions"),
    ("mcp", "GET", "/docs"),
    ("mcp", "POST", "/mcp"),
    ("mcp", "GET", "/mcp"),
    ("mcp", "OPTIONS", "/mcp"),
    ("ws", "GET", "/readyz"),
    ("ws", "GET", "/metrics"),
    ("ws", "POST", "/broadcast/{room}"),
    ("ws", "GET", "/api/sessions"),
    ("ws", "POST", "/api/sessions"),
    ("ws", "POST", "/api/redeem"),
    ("mcp", "POST", "/api/redeem"),
]


def filled(pair: Pair, node: str, text: str, room: str = "") -> str:
    ports = {"mcp": pair.mcp_port, "ws": pair.ws_port}
    other = ports["ws" if node == "mcp" else "mcp"]
    return (
        text.replace("{own}", str(ports[node]))
        .replace("{other}", str(other))
        .replace("{room}", room)
    )


async def assert_shut(pair: Pair, node: str, *requests: list[str]) -> None:
    """No door of a node opens with any of these headers."""
    port = pair.mcp_port if node == "mcp" else pair.ws_port
    common = ["Content-Type: application/json", f"Authorization: Bearer {pair.token('alice')}"]
    async with unharmed(pair) as room:
        for headers in requests:
            for of, method, path in HTTP_DOORS:
                if of != node:
                    continue
                body = b'{"type":"a","data":{},"purpose":"a"}' if method == "POST" else b""
                answer = await raw(
                    port, method, filled(pair, node, path, room), [*headers, *common], body
                )
                assert status(answer) in (400, 403), (headers, answer)
                assert MARK.encode() not in answer
                assert b"access-control" not in answer.lower()
            answer = await raw(port, "GET", f"/ws/{room}", upgrade(pair, *headers))
            assert status(answer) in (400, 403), (headers, answer)


@pytest.mark.parametrize("node", ["mcp", "ws"])
async def test_a_foreign_host_is_refused(pair: Pair, node: str) -> None:
    hosts = [[f"Host: {filled(pair, node, host)}"] for host in FOREIGN_HOSTS]
    await assert_shut(pair, node, *hosts, [], ["Host: localhost", "Host: evil.example"])


@pytest.mark.parametrize("node", ["mcp", "ws"])
async def test_a_foreign_origin_is_refused(pair: Pair, node: str) -> None:
    own = filled(pair, node, "Host: 127.0.0.1:{own}")
    origins = [f"Origin: {filled(pair, node, origin)}" for origin in FOREIGN_ORIGINS]
    await assert_shut(pair, node, *([own, origin] for origin in origins))


@pytest.mark.parametrize("node", ["mcp", "ws"])
async def test_two_origins_are_refused(pair: Pair, node: str) -> None:
    own = filled(pair, node, "127.0.0.1:{own}")
    headers = [f"Host: {own}", f"Origin: http://{own}", "Origin: http://evil.example"]
    await assert_shut(pair, node, headers)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_request_that_another_sites_page_made_is_refused(pair: Pair, site: str) -> None:
    headers = ["Host: localhost", f"Sec-Fetch-Site: {site}", "Content-Type: application/json"]
    async with unharmed(pair) as room:
        body = b'{"type":"a","data":{}}'
        answer = await raw(pair.ws_port, "POST", f"/broadcast/{room}", headers, body)
        assert status(answer) == 403
        assert answer.endswith(b'used here."}') and b'"success":false' in answer


@pytest.mark.parametrize("host", ["127.0.0.1:{own}", "LocalHost:{own}", "[::1]:{own}"])
async def test_the_own_origin_enters(pair: Pair, host: str) -> None:
    room = await make_room(pair)
    own = filled(pair, "ws", host)
    headers = [f"Host: {own}", f"Origin: http://{own.lower()}"]
    assert status(await raw(pair.ws_port, "GET", f"/ws/{room}", upgrade(pair, *headers))) == 101
    posting = [*headers, "Content-Type: application/json", "Sec-Fetch-Site: same-origin"]
    body = b'{"type":"a","data":{}}'
    assert status(await raw(pair.ws_port, "POST", f"/broadcast/{room}", posting, body)) == 200
    own = filled(pair, "mcp", host)
    asking = [
        *(f"Host: {own}", f"Origin: http://{own.lower()}", "Content-Type: application/json"),
        *("Accept: application/json, text/event-stream", "MCP-Protocol-Version: 2025-06-18"),
        f"Authorization: Bearer {pair.token('alice')}",
    ]
    answer = await raw(pair.mcp_port, "POST", "/mcp", asking, b'{"jsonrpc":"2.0","method":"x/y"}')
    assert status(answer) not in (401, 403, 421), answer
    assert status(await raw(pair.mcp_port, "GET", "/api/sessions", asking)) == 200
