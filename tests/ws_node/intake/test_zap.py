"""The gate of a tcp bridge on real sockets: who gets in, who does not, and that it lives."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from zmq.utils import z85

from proto import wire
from proto.errors import ConfigurationError
from serving.curve import keys as curve
from serving.curve.allow_list import AllowList
from tests.node_process import reserved_port
from tests.waiting import PATIENCE, until
from tests.ws_node.making import make_event, make_settings
from ws_node.intake.collector import Collector
from ws_node.rooms.event_queue import EventQueue

PROOF = 999_999


class Guarded:
    """A collector on a tcp port, and sockets that try to send to it."""

    def __init__(self, data_dir: Path, port: int, host: str = "127.0.0.1") -> None:
        self.data_dir = data_dir
        self.port = port
        self.endpoint = f"tcp://{host}:{port}"
        self.queue = EventQueue(10_000)
        self.collector = Collector(
            make_settings(data_dir), endpoint=self.endpoint, queue=self.queue
        )
        self.collector.start()
        self._context = zmq.Context()
        self._pushes: list[zmq.Socket[bytes]] = []

    def push(self, **options: Any) -> zmq.Socket[bytes]:
        """A PUSH that connects with these options, and holds what it cannot send yet."""
        push = self._context.socket(zmq.PUSH)
        push.set(zmq.LINGER, 0)
        push.set(zmq.IPV6, "[" in self.endpoint)
        for name, value in options.items():
            push.set(getattr(zmq, name), value)
        push.connect(self.endpoint)
        self._pushes.append(push)  # one that is forgotten is closed
        return push

    def keyed(self, pair: curve.KeyPair, server: str = "") -> zmq.Socket[bytes]:
        """A PUSH that proves a pair, to the server with this key."""
        return self.push(
            CURVE_SERVERKEY=bytes.fromhex(server or curve.server_keys(self.data_dir).public),
            CURVE_PUBLICKEY=bytes.fromhex(pair.public),
            CURVE_SECRETKEY=pair.secret,
        )

    async def only_ours_arrive(self) -> None:
        """A message of our own mcp_node comes through, and nothing else has."""
        ours = self.keyed(curve.client_keys(self.data_dir))
        send(ours, PROOF)
        assert await self.arrived(1) == [PROOF]

    async def arrived(self, count: int) -> list[int | None]:
        """The ids of everything that has arrived once there are so many."""
        await until(lambda: len(self.queue) >= count)
        return [item.id for item in await self.queue.get() if isinstance(item, wire.Event)]

    def close(self) -> None:
        self.collector.close()
        self._context.destroy(linger=0)


def send(push: zmq.Socket[bytes], id_: int) -> None:
    push.send_multipart(wire.encode(make_event(id_)), zmq.NOBLOCK)


def stranger() -> curve.KeyPair:
    public, secret = zmq.curve_keypair()
    return curve.KeyPair(z85.decode(public).hex(), z85.decode(secret))


@pytest.fixture
async def guarded(tmp_path: Path, port: int) -> AsyncIterator[Guarded]:
    guarded = Guarded(tmp_path, port)
    yield guarded
    guarded.close()


async def test_our_own_mcp_node_gets_in_without_configuration(guarded: Guarded) -> None:
    ours = guarded.keyed(curve.client_keys(guarded.data_dir))
    for number in range(1, 301):
        send(ours, number)
    assert await guarded.arrived(300) == list(range(1, 301))
    assert (guarded.collector.received, guarded.collector.refused) == (300, 0)


async def test_the_address_may_be_of_ipv6(tmp_path: Path) -> None:
    with reserved_port("::1") as port:
        guarded = Guarded(tmp_path, port, "[::1]")
        try:
            await guarded.only_ours_arrive()
        finally:
            guarded.close()


async def test_an_unlisted_key_does_not_get_in(guarded: Guarded) -> None:
    send(guarded.keyed(stranger()), 1)
    await until(lambda: guarded.collector.refused)
    await guarded.only_ours_arrive()


@pytest.mark.parametrize(
    "options",
    [{}, {"PLAIN_USERNAME": b"alice", "PLAIN_PASSWORD": b"x"}],
    ids=["no mechanism", "a password"],
)
async def test_a_peer_without_curve_does_not_get_in(
    guarded: Guarded, options: dict[str, bytes]
) -> None:
    send(guarded.push(**options), 1)
    await until(lambda: guarded.collector.refused)
    await guarded.only_ours_arrive()


async def test_a_peer_that_wants_another_server_does_not_get_in(guarded: Guarded) -> None:
    ours = curve.client_keys(guarded.data_dir)
    send(guarded.keyed(ours, stranger().public), 1)
    await until(lambda: guarded.collector.refused)
    await guarded.only_ours_arrive()


async def test_who_claims_a_listed_key_must_have_its_secret(guarded: Guarded) -> None:
    listed = curve.client_keys(guarded.data_dir).public
    send(guarded.keyed(curve.KeyPair(listed, stranger().secret)), 1)
    await until(lambda: guarded.collector.refused)
    await guarded.only_ours_arrive()


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x00" + b"\x05\x01room",  # ZMTP 1.0, which has no mechanisms
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x08\x00\x00",  # ZMTP 2.0, likewise
        b"\xff" * 64,
    ],
    ids=["HTTP", "ZMTP 1", "ZMTP 2", "noise"],
)
async def test_other_protocols_are_cut_off(guarded: Guarded, said: bytes) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as peer:
        peer.setblocking(False)
        await loop.sock_connect(peer, ("127.0.0.1", guarded.port))
        await loop.sock_sendall(peer, said)
        async with asyncio.timeout(PATIENCE):
            try:
                while await loop.sock_recv(peer, 1_000):
                    pass
            except ConnectionResetError:
                pass
    await guarded.only_ours_arrive()


async def test_who_is_added_to_the_list_gets_in_by_itself(guarded: Guarded) -> None:
    """The refused peer goes on knocking: neither side is started again."""
    other = stranger()
    push = guarded.keyed(other)
    send(push, 1)
    await until(lambda: guarded.collector.refused)
    AllowList(guarded.data_dir).add(other.public)
    assert await guarded.arrived(1) == [1]


async def test_who_is_taken_off_the_list_is_refused_though_connected(guarded: Guarded) -> None:
    other = stranger()
    AllowList(guarded.data_dir).add(other.public)
    push = guarded.keyed(other)
    send(push, 1)
    assert await guarded.arrived(1) == [1]
    refused = guarded.collector.refused
    AllowList(guarded.data_dir).remove(other.public)
    send(push, 2)
    await until(lambda: guarded.collector.refused > refused)
    await guarded.only_ours_arrive()


async def test_a_crowd_that_knocks_is_counted_and_logged_once(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    strangers = [stranger() for _ in range(150)]
    for one in strangers:
        send(guarded.keyed(one), 1)
    await until(lambda: guarded.collector.refused >= 150)
    await guarded.only_ours_arrive()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert any(one.public in lines[0] for one in strangers)


async def test_an_endpoint_in_use_is_the_operators_matter(guarded: Guarded) -> None:
    second = Collector(
        make_settings(guarded.data_dir), endpoint=guarded.endpoint, queue=EventQueue(16)
    )
    with pytest.raises(ConfigurationError, match="PARTYLINE_BRIDGE_ENDPOINT"):
        second.start()
    await guarded.only_ours_arrive()
