"""A raw MCP client: keep-alive connections that send requests built once, byte by byte.

Protocol 2026-07-28, where every POST stands alone. A call costs this side about 20 µs, so that
what is measured is the server.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from bench.measured_pair import SESSION
from tests.pair import Pair

VERSION = "2026-07-28"
CONTENT = "A finding of 256 characters, as an agent might write it. ".ljust(256, ".")


def request(pair: Pair, tool: str, agent: int = 0, /, **arguments: Any) -> bytes:
    """A whole HTTP request that calls a tool, with the token of the agent of that number."""
    prefix = "io.modelcontextprotocol"
    meta = {f"{prefix}/protocolVersion": VERSION, f"{prefix}/clientCapabilities": {}}
    body = json.dumps(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": arguments, "_meta": meta},
        }
    ).encode()
    headers = {
        "Host": f"127.0.0.1:{pair.mcp_port}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
        "Content-Length": str(len(body)),
        **pair.headers(f"agent-{agent}"),
    }
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(["POST /mcp HTTP/1.1", *lines, "", ""]).encode() + body


def add_message(pair: Pair, agent: int = 0) -> bytes:
    """A request that adds a 256-byte message to the bench's session."""
    return request(pair, "add_message", agent, session_id=SESSION, content=CONTENT)


class Caller(asyncio.Protocol):
    """One keep-alive connection; one call at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(received[:end]).lower()
        _, found, rest = head.partition(b"content-length:")
        if not found:
            raise ValueError(f"an answer without a length: {head!r}")
        whole = end + 4 + int(rest.partition(b"\r")[0])
        if len(received) < whole:
            return
        body = bytes(received[end + 4 : whole])
        del received[:whole]
        assert self._answer is not None
        if not head.startswith(b"http/1.1 200") or b'"isError":true' in body:
            self._answer.set_exception(ValueError(f"a call failed: {head!r} {body!r}"))
        else:
            self._answer.set_result(body)

    def call(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request; resolves to the answer's body."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def callers(pair: Pair, count: int) -> AsyncIterator[list[Caller]]:
    """Connections to mcp_node; the bench's session exists once they are there."""
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(Caller, "127.0.0.1", pair.mcp_port))[1] for _ in range(count)
    ]
    try:
        await made[0].call(request(pair, "create_session", purpose="bench", session_id=SESSION))
        yield made
    finally:
        for caller in made:
            caller.close()


async def answered(caller: Caller, request: bytes) -> dict[str, Any]:
    """A call's structured result."""
    answer = json.loads(await caller.call(request))
    result = answer["result"]["structuredContent"]
    assert isinstance(result, dict)
    return result


async def flood(connections: list[Caller], requests: list[bytes], seconds: float) -> float:
    """Call over all connections at once, each again as soon as it is answered: calls/s.

    Each has a request of its own, for a principal of its own: writes are limited for each.
    """
    begin = time.perf_counter()
    end = begin + seconds

    async def repeat(caller: Caller, request: bytes) -> int:
        calls = 0
        while time.perf_counter() < end:
            await caller.call(request)
            calls += 1
        return calls

    done = await asyncio.gather(*map(repeat, connections, requests))
    return sum(done) / (time.perf_counter() - begin)
