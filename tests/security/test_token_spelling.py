"""A token has one spelling: bytes around it that some decoder takes for blanks open no door."""

import asyncio

import pytest

from tests.pair import Pair
from tests.waiting import PATIENCE

AROUND = {
    "no-break space before": b"\xa0%b",
    "no-break space behind": b"%b\xa0",
    "next line": b"\x85%b\x85",
    "in UTF-8": "\u00a0%b".encode(),
    "letters": b"\xe9%b",
}
JSON = b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
NO_BODY = b"\r\n"
DOORS = {
    "rest": ("mcp", b"GET /api/sessions", NO_BODY),
    "rest, with a body": ("mcp", b"POST /api/sessions", JSON),
    "mcp": ("mcp", b"POST /mcp", JSON),
    "mcp, standing": ("mcp", b"GET /mcp", b"Accept: text/event-stream\r\n\r\n"),
    "metrics": ("mcp", b"GET /metrics", NO_BODY),
    "metrics of ws_node": ("ws", b"GET /metrics", NO_BODY),
    "forwarded": ("ws", b"GET /api/sessions", NO_BODY),
    "event stream": ("ws", b"GET /events/room", NO_BODY),
}


async def status(port: int, start: bytes, authorization: bytes, rest: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: "
    writer.write(start + head + authorization + b"\r\n" + rest)
    try:
        return int((await asyncio.wait_for(reader.readline(), PATIENCE)).split()[1])
    finally:
        writer.close()


@pytest.mark.parametrize("around", AROUND)
async def test_every_door_answers_401(pair: Pair, around: str) -> None:
    token = pair.token("alice", scopes="read,write,admin").encode()
    ports = {"mcp": pair.mcp_port, "ws": pair.ws_port}
    answers = {
        door: await status(ports[node], start, b"Bearer " + AROUND[around] % token, rest)
        for door, (node, start, rest) in DOORS.items()
    }
    assert answers == dict.fromkeys(DOORS, 401)


@pytest.mark.parametrize("around", AROUND)
async def test_a_websocket_is_refused(pair: Pair, around: str) -> None:
    """Closed with 4500; a subprotocol that is no token of HTTP (RFC 9110) makes no handshake."""
    token = AROUND[around] % pair.token("alice").encode()
    for header, status in (
        (b"Authorization: Bearer " + token, b" 101 "),
        (b"Sec-WebSocket-Protocol: partyline, bearer." + token, b" 400 "),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", pair.ws_port)
        writer.write(
            b"GET /ws/room HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + header + b"\r\n\r\n"
        )
        assert status in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        if status == b" 101 ":
            frame = await asyncio.wait_for(reader.readexactly(4), PATIENCE)
            assert frame[0] == 0x88 and int.from_bytes(frame[2:4], "big") == 4500
        writer.close()
