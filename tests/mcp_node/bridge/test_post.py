"""The HTTP publisher against a real server: in order, bounded, off the caller's path."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from mcp_node.bridge import post
from mcp_node.bridge.post import PostPublisher
from proto.settings import load_settings
from serving.peers.clients import ws_socket
from tests.mcp_node.bridge.test_push import messages
from tests.waiting import PATIENCE, until


class Door:
    """A ws_node's /broadcast: remembers what is posted; ``open`` lets it answer."""

    def __init__(self, data_dir: Path, worker: int = 0) -> None:
        self.data_dir = data_dir
        self.socket = ws_socket(data_dir, worker)
        self.status = 200
        self.posts: list[tuple[str, dict[str, str], Any]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {
                    name.lower(): value
                    for name, _, value in (line.partition(": ") for line in lines if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                self.posts.append((first.split()[1], headers, json.loads(body)))
                await self.open.wait()
                writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Door"]:
        server = await asyncio.start_unix_server(self._serve, self.socket)
        try:
            yield self
        finally:
            self.open.set()
            server.close()
            if hasattr(server, "close_clients"):
                server.close_clients()
            self.socket.unlink(missing_ok=True)

    @property
    def ids(self) -> list[int]:
        return [body["position"] for _, _, body in self.posts]


@asynccontextmanager
async def publishing(door: Door, **settings: Any) -> AsyncIterator[PostPublisher]:
    publisher = PostPublisher(load_settings(data_dir=door.data_dir, **settings), epoch="e")
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close()


async def test_posts_go_out_in_order_as_whole_frames(tmp_path: Path) -> None:
    async with Door(tmp_path).serving() as door, publishing(door) as publisher:
        for first in range(1, 50, 10):
            publisher.publish(messages(first, 10))
        await until(lambda: publisher.published == 50)
        assert door.ids == list(range(1, 51))
        path, headers, body = door.posts[1]
        assert path == "/broadcast/room"
        assert headers["x-partyline-epoch"] == "e"
        assert headers["x-partyline-prev"] == "1"
        assert headers["x-partyline-principal"] == "alice"
        assert "authorization" not in headers
        assert (body["type"], body["data"]["content"]) == ("new_message", "hello")
        assert publisher.connected


async def test_without_a_peer_everything_is_dropped_and_counted(tmp_path: Path) -> None:
    async with publishing(Door(tmp_path)) as publisher:
        publisher.publish(messages(1, 50))
        await until(lambda: publisher.dropped == 50)
        assert (publisher.published, publisher.waiting, publisher.connected) == (0, 0, False)


async def test_what_httpx_leaks_does_not_end_the_bridge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With uvloop, a peer that dies while it is being connected to is an AttributeError, seldom."""
    real = httpx.AsyncHTTPTransport.handle_async_request
    failures = [AttributeError("'NoneType' object has no attribute 'getpeername'")]

    async def leaking(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        if failures:
            raise failures.pop()
        return await real(self, request)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", leaking)
    async with Door(tmp_path).serving() as door, publishing(door) as publisher:
        publisher.publish(messages(1, 2))
        await until(lambda: publisher.published == 1)
        assert (publisher.dropped, door.ids) == (1, [2])


async def test_a_peer_that_does_not_answer_costs_bounded_memory(tmp_path: Path) -> None:
    async with Door(tmp_path).serving() as door:
        door.open.clear()
        async with publishing(door, bridge_backlog_bytes=1_048_576) as publisher:
            publisher.publish(messages(1, 100, "x" * 50_000))
            assert publisher.waiting <= 1_048_576 // 50_000
            assert publisher.dropped == 100 - publisher.waiting
            kept = publisher.waiting
            door.open.set()
            await until(lambda: publisher.published == kept)
            assert door.ids == list(range(1, kept + 1))


async def test_a_peer_that_comes_back_gets_what_comes_from_then_on(tmp_path: Path) -> None:
    door = Door(tmp_path)
    async with publishing(door) as publisher:
        publisher.publish(messages(1, 3))
        await until(lambda: publisher.dropped == 3)
        async with door.serving():
            publisher.publish(messages(4, 2))
            await until(lambda: publisher.published == 2)
        assert door.ids == [4, 5]


@pytest.mark.parametrize("status", [401, 413, 500, 503])
async def test_what_is_refused_is_dropped_and_counted(tmp_path: Path, status: int) -> None:
    async with Door(tmp_path).serving() as door, publishing(door) as publisher:
        door.status = status
        publisher.publish(messages(1, 2))
        await until(lambda: publisher.dropped == 2)
        assert not publisher.connected
        door.status = 200
        publisher.publish(messages(3, 1))
        await until(lambda: publisher.published == 1)


async def test_closing_does_not_wait_for_a_peer_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "_TIMEOUT_SECONDS", 2 * PATIENCE)
    async with Door(tmp_path).serving() as door:
        door.open.clear()
        async with asyncio.timeout(PATIENCE), publishing(door) as publisher:
            publisher.publish(messages(1, 5))
            await until(lambda: door.posts)
        assert publisher.dropped >= 4


async def test_with_a_worker_away_the_next_one_gets_the_posts(tmp_path: Path) -> None:
    async with Door(tmp_path, 1).serving() as door, publishing(door, ws_workers=2) as publisher:
        publisher.publish(messages(1, 3))
        await until(lambda: publisher.published == 3)
        assert (door.ids, publisher.dropped) == ([1, 2, 3], 0)
