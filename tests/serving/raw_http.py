"""A real uvicorn with our protocol, with little patience, and sockets that do as they like."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator

import uvicorn

from serving.http.asgi import App
from serving.http.protocol import LimitedHttp
from serving.http.unsent import Unsent
from tests.waiting import PATIENCE, until

SECONDS = 0.6
RATE = 100_000.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Impatient(LimitedHttp):
    """What takes longer than `SECONDS` is cut; counts of its own."""

    head_seconds = SECONDS
    body_seconds = SECONDS
    body_rate = RATE
    max_silent = 1_000
    silent = {}  # noqa: RUF012
    unsent = Unsent(seconds=SECONDS, rate=RATE, most_bytes=1_000_000_000)


@contextlib.asynccontextmanager
async def served(app: App, protocol: type[LimitedHttp] = Impatient) -> AsyncIterator[int]:
    """The port of a server; its sockets' buffers are as small as they can be."""
    config = uvicorn.Config(
        app, http=protocol, lifespan="off", log_config=None, ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        task = asyncio.create_task(server.serve([bound]))
        await until(lambda: server.started)
        assert len(protocol.silent) == len(protocol.unsent) == 0
        try:
            yield bound.getsockname()[1]
            await until(lambda: len(protocol.silent) == len(protocol.unsent) == 0)
            assert protocol.unsent.bytes == 0
        finally:
            server.should_exit = True
            await task


class Peer:
    """A socket that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        assert found is not None
        return head + await self.reader.readexactly(int(found[1]))

    async def cut(self) -> bytes:
        """What came before the end."""
        with contextlib.suppress(ConnectionResetError):
            return await asyncio.wait_for(self.reader.read(), PATIENCE)
        return b""


@contextlib.asynccontextmanager
async def peer(port: int, *says: bytes) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in says:
            writer.write(piece)
        yield Peer(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
