"""The collector on real ZeroMQ sockets: nothing that arrives stops it or is left lying."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from proto import wire
from proto.errors import ConfigurationError
from proto.wire import Event
from tests.waiting import PATIENCE, until
from tests.ws_node.making import make_event, make_settings
from ws_node.intake.collector import BATCH, Collector
from ws_node.rooms.event_queue import EventQueue


class Bridge:
    """A collector and a PUSH socket connected to it."""

    def __init__(self, directory: Path, queue: EventQueue, **settings: int) -> None:
        self.endpoint = f"ipc://{directory}/b.sock"
        self.queue = queue
        self.collector = Collector(
            make_settings(directory, **settings), endpoint=self.endpoint, queue=queue
        )
        self.collector.start()
        self._context = zmq.Context()
        self.push = self._context.socket(zmq.PUSH)
        self.push.set(zmq.LINGER, 0)
        self.push.set(zmq.SNDHWM, 100_000)
        self.push.connect(self.endpoint)

    def send(self, *frames: bytes) -> None:
        self.push.send_multipart(frames, zmq.NOBLOCK)

    def event(self, event: Event) -> None:
        self.send(*wire.encode(event))

    async def proves_alive(self, id_: int = 999_999) -> None:
        """A good message still comes through."""
        before = self.collector.received
        self.event(make_event(id_))
        await until(lambda: self.collector.received > before)

    def close(self) -> None:
        self.collector.close()
        self._context.destroy(linger=0)


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pl-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
async def bridge(directory: Path) -> AsyncIterator[Bridge]:
    bridge = Bridge(directory, EventQueue(10_000))
    yield bridge
    bridge.close()


GOOD = wire.encode(make_event(7, b'{"a":1}'))


def header(**changes: object) -> bytes:
    fields = msgspec.msgpack.decode(GOOD[1])
    names = ["version", "epoch", "id", "prev", "visibility", "principal", "kind", "ns"]
    for name, value in changes.items():
        fields[names.index(name)] = value
    return msgspec.msgpack.encode(fields)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([b"x"], "frames"),
        ([b""], "frames"),
        ([b"room", GOOD[1]], "frames"),
        ([*GOOD, b"more"], "frames"),
        ([*GOOD, b"more", b"more"], "frames"),
        ([b"room", b"\xc1garbage", b"{}"], "header"),
        ([b"room", b"\x91" * 900, b"{}"], "header"),
        ([b"room", b"x" * 1_025, b"{}"], "header"),
        ([b"room", header(version=2), b"{}"], "version"),
        ([b"room", header(id=2**60), b"{}"], "header"),
        ([b"room", header(prev=7), b"{}"], "chain"),
        ([b"room", header(visibility="everybody"), b"{}"], "header"),
        ([b"../etc", GOOD[1], b"{}"], "session"),
        ([b"\xff\xfe", GOOD[1], b"{}"], "session"),
        ([b"room", GOOD[1], b""], "body"),
    ],
)
async def test_what_is_not_ours_is_counted_by_its_reason(
    bridge: Bridge, frames: list[bytes], reason: str
) -> None:
    bridge.send(*frames)
    await bridge.proves_alive()
    assert bridge.collector.malformed == {reason: 1}
    assert len(bridge.queue) == 1


async def test_a_good_message_comes_through_unchanged(bridge: Bridge) -> None:
    sent = make_event(8, '{"é":1}'.encode(), principal="bob", published_ns=123)
    bridge.event(sent)
    assert await asyncio.wait_for(bridge.queue.get(), PATIENCE) == [sent]


async def test_an_oversized_message_cuts_its_sender_who_comes_back(directory: Path) -> None:
    bridge = Bridge(directory, EventQueue(100), max_bridge_bytes=700_000)
    try:
        await bridge.proves_alive()
        bridge.event(make_event(5, b"x" * 700_001))
        bridge.event(make_event(6))
        await until(lambda: bridge.collector.received or None)

        async def alive() -> bool:
            before = bridge.collector.received
            bridge.event(make_event(9))
            await asyncio.sleep(0.02)
            return bridge.collector.received > before

        await until(alive)
        waiting = await bridge.queue.get()
        assert all(isinstance(item, Event) and len(item.body) < 10 for item in waiting)
    finally:
        bridge.close()


async def test_a_flood_is_taken_or_counted_to_the_last_message(directory: Path) -> None:
    bridge = Bridge(directory, EventQueue(100), bridge_hwm=100_000)
    try:
        for number in range(3 * BATCH + 1):
            bridge.event(make_event(number + 1))
            if number % 3 == 0:
                bridge.send(b"junk")
        await until(lambda: bridge.collector.received == 3 * BATCH + 1)
        await until(lambda: bridge.collector.malformed == {"frames": BATCH + 1})
        assert bridge.collector.overflowed == 3 * BATCH + 1 - 100
        assert len(await bridge.queue.get()) == 100
        await bridge.proves_alive()
    finally:
        bridge.close()


class Echo(EventQueue):
    """A queue that sends another message while the collector is in the middle of a batch."""

    bridge: Bridge

    def put(self, event: Event) -> bool:
        if event.id is not None and event.id < 2_000:
            self.bridge.event(make_event(event.id + 1))
        return super().put(event)


async def test_a_message_sent_during_a_batch_does_not_wait_for_the_next(directory: Path) -> None:
    """The descriptor is edge-triggered: nothing but a look at EVENTS tells of these."""
    queue = Echo(10_000)
    bridge = queue.bridge = Bridge(directory, queue)
    try:
        bridge.event(make_event(1))
        await until(lambda: bridge.collector.received == 2_000)
    finally:
        bridge.close()


async def test_the_socket_is_the_owners_alone(bridge: Bridge) -> None:
    mode = os.stat(bridge.endpoint.removeprefix("ipc://")).st_mode
    assert mode & 0o777 == 0o600


async def test_an_endpoint_that_cannot_be_bound_is_the_operators_matter(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/missing/b.sock"
    collector = Collector(make_settings(tmp_path), endpoint=endpoint, queue=EventQueue(16))
    with pytest.raises(ConfigurationError, match="PARTYLINE_BRIDGE_ENDPOINT"):
        collector.start()
