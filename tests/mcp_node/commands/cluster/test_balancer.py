"""The balancer over real sockets, before servers that answer as their name."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mcp_node.commands.cluster.balancer import MAX_HEAD_BYTES, Balancer
from serving.process.address import AddressFile, Name
from serving.process.server import listen, port_of
from tests.waiting import PATIENCE, until


class Backend:
    """A server that answers with its name, echoes what follows an upgrade, and can be unready."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready = True
        self.requests: list[bytes] = []
        self.open = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Refuse connections from now on."""
        assert self._server is not None
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET /readyz"):
                status = b"200 OK" if self.ready else b"503 Unavailable"
                writer.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)
                return
            self.requests.append(head)
            if b"Upgrade:" in head or b"/silent" in head:
                while chunk := await reader.read(65_536):
                    writer.write(chunk)
                    await writer.drain()
                return
            body = self.name.encode()
            if b"/large" in head:
                body *= 1_000_000
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        finally:
            self.open -= 1
            writer.close()


class Balanced:
    """A balancer before two backends of each kind."""

    def __init__(self, directory: Path) -> None:
        self.pairs = [directory / "first", directory / "second"]
        self.backends = {
            (kind, number): Backend(f"{kind}{number}")
            for kind in ("mcp", "ws")
            for number in (0, 1)
        }
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Balanced"]:
        with contextlib.ExitStack() as stack:
            for pair in self.pairs:
                pair.mkdir(mode=0o700)
            for (kind, number), backend in self.backends.items():
                name: Name = "mcp" if kind == "mcp" else "ws"
                url = f"http://127.0.0.1:{await backend.start()}"
                stack.enter_context(AddressFile(self.pairs[number], name, url))
                stack.callback(backend.stop)
            bound = stack.enter_context(contextlib.closing(listen("127.0.0.1", 0, "PORT")))
            self.port = port_of(bound)
            serving = asyncio.create_task(Balancer(self.pairs).serve(bound))
            try:
                yield self
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
                await until(lambda: not any(each.open for each in self.backends.values()))

    async def connect(self, head: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head)
        return reader, writer

    async def ask(self, path: str = "/mcp", key: str = "Bearer a") -> bytes:
        """All that is answered; the balancer closes the connection then."""
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n"
        reader, writer = await self.connect(head.encode())
        try:
            async with asyncio.timeout(PATIENCE):
                return await reader.read()
        finally:
            writer.close()


@pytest.fixture
async def balanced(tmp_path: Path) -> AsyncIterator[Balanced]:
    async with Balanced(tmp_path).running() as running:
        yield running


def name_in(answer: bytes) -> str:
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer
    return answer.partition(b"\r\n\r\n")[2].decode()


async def test_requests_with_one_authorization_reach_one_mcp_node(balanced: Balanced) -> None:
    keys = [f"Bearer {n}" for n in range(20)]
    chosen = [name_in(await balanced.ask(key=key)) for key in keys]
    assert set(chosen) == {"mcp0", "mcp1"}
    assert [name_in(await balanced.ask("/api/sessions", key)) for key in keys] == chosen


async def test_viewers_are_shared_by_the_ws_nodes(balanced: Balanced) -> None:
    upgrade = b"GET /ws/room HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    streams = [await balanced.connect(upgrade) for _ in range(4)]
    for reader, writer in streams:
        for text in (b"one", b"two"):
            writer.write(text)
            assert await reader.readexactly(3) == text
    shown = {name: backend.open for name, backend in balanced.backends.items()}
    assert shown == {("mcp", 0): 0, ("mcp", 1): 0, ("ws", 0): 2, ("ws", 1): 2}
    for _, writer in streams:
        writer.close()  # the node must know
    await until(lambda: not any(each.open for each in balanced.backends.values()))


async def test_a_node_that_refuses_connections_is_skipped(balanced: Balanced) -> None:
    first = name_in(await balanced.ask())
    balanced.backends["mcp", int(first[-1])].stop()
    second = name_in(await balanced.ask())
    assert second != first
    balanced.backends["mcp", int(second[-1])].stop()
    assert (await balanced.ask()).startswith(b"HTTP/1.1 503 ")
    assert name_in(await balanced.ask("/")).startswith("ws")


async def test_a_node_that_is_not_ready_is_the_last_to_be_tried(balanced: Balanced) -> None:
    first = name_in(await balanced.ask())
    balanced.backends["mcp", int(first[-1])].ready = False

    async def moved() -> bool:
        return name_in(await balanced.ask()) != first

    await until(moved)
    other = name_in(await balanced.ask())
    balanced.backends["mcp", int(other[-1])].stop()
    assert name_in(await balanced.ask()) == first


async def test_a_node_that_does_not_run_is_skipped(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        serving = asyncio.create_task(Balancer([tmp_path, tmp_path]).serve(listening))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        writer.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_large_answers_arrive_whole(balanced: Balanced) -> None:
    answer = await balanced.ask("/large")
    assert len(name_in(answer)) == 3_000_000  # ws0 or ws1


async def test_a_head_without_end_is_cut_off(balanced: Balanced) -> None:
    reader, writer = await balanced.connect(b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES)
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()
    assert not any(each.requests for each in balanced.backends.values())


async def test_stopping_ends_open_connections(tmp_path: Path) -> None:
    async with Balanced(tmp_path).running() as balanced:
        reader, writer = await balanced.connect(b"GET /silent HTTP/1.1\r\n\r\n")
        await until(lambda: any(each.requests for each in balanced.backends.values()))
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()
