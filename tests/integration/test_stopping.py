"""SIGTERM and Ctrl-C with open sockets: exit 0, in time; viewers know to come back."""

import asyncio
import contextlib
import signal

import httpx
import pytest
import websockets

from tests.clients import frame, is_quiet, plain_client
from tests.integration.rooms import make_room, say
from tests.node_process import Node
from tests.pair import Pair
from tests.waiting import until

STOP_WITHIN = 15.0
"""Five seconds are promised, on a machine that is not busy with other tests."""

SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"]
)
ACCEPT = {"Accept": "application/json, text/event-stream"}
LEGACY = "2025-11-25"


async def assert_stops(node: Node, number: int) -> None:
    before = len(node.output())
    code, seconds = await node.stop(number)
    assert code == 0
    assert seconds < STOP_WITHIN
    said = node.output()[before:]
    assert "Traceback" not in said and "ERROR" not in said, said


@contextlib.asynccontextmanager
async def deaf_viewer(pair: Pair, room: str):
    """A viewer that never reads and never answers a close frame."""
    reader, writer = await asyncio.open_connection("127.0.0.1", pair.ws_port)
    lines = [
        f"GET /ws/{room} HTTP/1.1",
        f"Host: 127.0.0.1:{pair.ws_port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in pair.headers("deaf").items()),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@SIGNALS
async def test_ws_node_sends_its_viewers_away_with_4001(
    killable: Pair, name: str, number: int
) -> None:
    await make_room(killable, name)
    async with contextlib.AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(killable.viewer(name)) for _ in range(5)]
        late = await stack.enter_async_context(killable.viewer(name, query="?since=0"))
        assert (await frame(late))["type"] == "subscribed"
        await stack.enter_async_context(deaf_viewer(killable, name))
        await assert_stops(killable.ws, number)
        for viewer in (*viewers, late):
            with pytest.raises(websockets.ConnectionClosedError):
                await viewer.recv()
            assert (viewer.close_code, viewer.close_reason) == (
                4001,
                "the server restarts: reconnect with since",
            )


async def test_a_handshake_under_way_is_told_to_come_back(killable: Pair, name: str) -> None:
    killable.mcp.kill()  # its answer is what a handshake waits for, for a second
    joining = [asyncio.ensure_future(killable.viewer(name)) for _ in range(3)]
    await until(lambda: _connections(killable, 3))
    await assert_stops(killable.ws, signal.SIGTERM)
    for outcome in await asyncio.gather(*joining, return_exceptions=True):
        if isinstance(outcome, websockets.ClientConnection):  # it was let in meanwhile
            await outcome.wait_closed()
            assert outcome.close_code == 4001
        else:
            assert isinstance(outcome, websockets.InvalidStatus)
            assert outcome.response.status_code == 503
            assert outcome.response.headers["Retry-After"] == "1"


async def _connections(pair: Pair, count: int) -> bool:
    return await pair.metric(pair.ws, "viewers") == count


@pytest.mark.parametrize("module", ["mcp", "ws"])
async def test_a_second_signal_changes_nothing(killable: Pair, name: str, module: str) -> None:
    node: Node = getattr(killable, module)
    assert node.process is not None
    async with killable.viewer(name), open_get_stream(killable):
        node.process.send_signal(signal.SIGINT)
        await assert_stops(node, signal.SIGTERM)


@contextlib.asynccontextmanager
async def open_get_stream(pair: Pair):
    """A client of the older era, by hand: initialized, and its GET stream stays open."""
    headers = {**pair.headers("legacy"), **ACCEPT, "MCP-Protocol-Version": LEGACY}
    async with plain_client(headers=headers) as client:
        url = f"{pair.mcp_url}/mcp"
        params = {
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": {"name": "by hand", "version": "1"},
        }
        call = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        answer = await client.post(url, json=call)
        assert answer.status_code == 200, answer.text
        client.headers["MCP-Session-Id"] = answer.headers["mcp-session-id"]
        note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await client.post(url, json=note)).status_code == 202
        async with client.stream("GET", url) as stream:
            assert stream.status_code == 200
            assert stream.headers["content-type"].startswith("text/event-stream")
            yield stream


@SIGNALS
async def test_mcp_node_stops_under_its_clients(killable: Pair, name: str, number: int) -> None:
    await make_room(killable, name)
    async with (
        killable.viewer(name) as viewer,
        open_get_stream(killable) as stream,
        killable.agent("modern") as modern,
        killable.agent("older", mode="legacy") as older,
        killable.rest() as rest,
    ):
        for client in (modern, older):
            await client.call_tool("add_message", {"session_id": name, "content": "still here"})
        last = await say(rest, name, "the last word")
        await assert_stops(killable.mcp, number)
        with contextlib.suppress(httpx.TransportError):
            async with asyncio.timeout(STOP_WITHIN):
                async for _ in stream.aiter_bytes():
                    pass
        assert [(await frame(viewer))["position"] for _ in range(3)][-1] == last
        await is_quiet(viewer)
