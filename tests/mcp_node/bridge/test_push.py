"""The ZeroMQ publisher on a real socket: never waits, bounded, in order, comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from mcp_node.bridge.push import PushPublisher
from proto import wire
from proto.messages import Message, Visibility, utc_now
from proto.settings import load_settings
from tests.waiting import PATIENCE, until

MAX = 2_097_152


def messages(first: int, count: int, content: str = "hello") -> list[Message]:
    return [
        Message(
            *(id_, id_ - 1, "room", "alice", "alice", "claude", content, Visibility.PUBLIC),
            *(utc_now(), msgspec.Raw(b"{}"), None),
        )
        for id_ in range(first, first + count)
    ]


@asynccontextmanager
async def publishing(*endpoints: str, **settings: Any) -> AsyncIterator[PushPublisher]:
    publisher = PushPublisher(load_settings(**settings), endpoints=endpoints, epoch="e")
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close()


class Peer:
    """A ws_node's end of the bridge."""

    def __init__(self, endpoint: str, hwm: int = 1_000) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PULL)
        self.socket.set(zmq.RCVHWM, hwm)
        self.socket.set(zmq.LINGER, 0)
        self.socket.bind(endpoint)

    def close(self) -> None:
        self.context.destroy(linger=0)

    async def take(self, count: int) -> list[int | None]:
        """The ids of the next messages."""
        ids: list[int | None] = []

        def some() -> bool:
            while len(ids) < count:
                try:
                    frames = self.socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    return False
                ids.append(wire.decode(frames, max_body=MAX).id)
            return True

        await until(some)
        return ids


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/b.sock"


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    made: list[Peer] = []
    yield made
    for peer in made:
        peer.close()


async def test_without_a_peer_everything_is_dropped_and_counted_at_once(endpoint: str) -> None:
    async with publishing(endpoint) as publisher:
        publisher.publish(messages(1, 1_000))
        assert (publisher.connected, publisher.published) == (False, 0)
        assert (publisher.dropped, publisher.waiting) == (1_000, 0)


async def test_a_peer_gets_them_in_order(endpoint: str, peers: list[Peer]) -> None:
    peers.append(Peer(endpoint))
    async with publishing(endpoint) as publisher:
        await until(lambda: publisher.connected)
        for first in range(1, 500, 50):
            publisher.publish(messages(first, 50))
        assert await peers[0].take(500) == list(range(1, 501))
        assert (publisher.published, publisher.dropped) == (500, 0)


async def test_a_slow_peer_costs_bounded_memory(endpoint: str, peers: list[Peer]) -> None:
    peers.append(Peer(endpoint, hwm=10))
    limits = {"bridge_hwm": 10, "bridge_backlog_bytes": 1_048_576}
    async with publishing(endpoint, **limits) as publisher:
        await until(lambda: publisher.connected)
        publisher.publish(messages(1, 300, "x" * 50_000))
        assert 10 <= publisher.waiting <= 1_048_576 // 50_000
        assert publisher.dropped > 100
        sent = publisher.published + publisher.waiting
        assert sent + publisher.dropped == 300
        ids = await peers[0].take(sent)
        assert ids == list(range(1, sent + 1))
        assert publisher.waiting == 0


async def test_a_peer_that_comes_back_gets_what_comes_from_then_on(
    endpoint: str, peers: list[Peer]
) -> None:
    peers.append(Peer(endpoint))
    async with publishing(endpoint) as publisher:
        await until(lambda: publisher.connected)
        publisher.publish(messages(1, 1))
        assert await peers[0].take(1) == [1]
        peers.pop().close()
        await until(lambda: not publisher.connected)
        publisher.publish(messages(2, 5))
        assert publisher.dropped == 5
        peers.append(Peer(endpoint))
        await until(lambda: publisher.connected)
        publisher.publish(messages(7, 2))
        assert await peers[0].take(2) == [7, 8]


async def test_a_message_over_the_bridges_limit_is_dropped_alone(
    endpoint: str, peers: list[Peer]
) -> None:
    peers.append(Peer(endpoint))
    limits = {"max_bridge_bytes": 30_000, "max_content_chars": 1_000}
    async with publishing(endpoint, **limits) as publisher:
        await until(lambda: publisher.connected)
        publisher.publish([*messages(1, 1), *messages(2, 1, "x" * 40_000), *messages(3, 1)])
        assert await peers[0].take(2) == [1, 3]
        assert publisher.dropped == 1


async def test_closing_is_quick_whatever_waits(endpoint: str, peers: list[Peer]) -> None:
    peers.append(Peer(endpoint, hwm=1))
    async with asyncio.timeout(PATIENCE):
        async with publishing(endpoint, bridge_hwm=1) as publisher:
            await until(lambda: publisher.connected)
            publisher.publish(messages(1, 100, "x" * 50_000))


async def test_every_worker_gets_all_and_an_absent_one_holds_up_nobody(
    endpoint: str, peers: list[Peer]
) -> None:
    others = [f"{endpoint}-{number}" for number in (1, 2)]
    peers.extend([Peer(endpoint), Peer(others[0], hwm=10)])
    async with publishing(endpoint, *others, bridge_hwm=10) as publisher:
        await until(lambda: [link.connected for link in publisher._sockets] == [True, True, False])
        assert not publisher.connected
        publisher.publish(messages(1, 50))
        assert publisher.dropped == 50
        assert await peers[0].take(50) == list(range(1, 51))
        assert await peers[1].take(50) == list(range(1, 51))
        peers.append(Peer(others[1]))
        await until(lambda: publisher.connected)
        publisher.publish(messages(51, 3))
        for peer in peers:
            assert await peer.take(3) == [51, 52, 53]
        assert (publisher.dropped, publisher.published) == (50, 109)
