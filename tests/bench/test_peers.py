"""Every server of ``make bench`` takes viewers and delivers: a tiny load on the real processes."""

import asyncio
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from bench.lockstep import deliver
from bench.measurements.most_deliveries import flood
from bench.measurements.two_ws_nodes import OnNats
from bench.partyline import Partyline
from bench.peers.interface import Missing, Server
from bench.peers.nats import Nats, NatsViewers
from bench.peers.plain_fastapi import PlainFastAPI
from bench.peers.raw_send import RawSend
from bench.peers.starting import started
from bench.peers.websockets_broadcast import WebsocketsBroadcast
from bench.steady import steady_load
from bench.viewer_group import quantile_ms
from tests import nats_server
from tests.nats_server import NatsServer

VIEWERS = 5


@pytest.mark.parametrize(
    "kind",
    [Partyline, Nats, PlainFastAPI, RawSend, WebsocketsBroadcast],
    ids=lambda kind: kind.name,
)
async def test_a_server_delivers_all_that_is_published_to_all_viewers(kind: type[Server]) -> None:
    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(kind())
        except Missing as missing:
            pytest.skip(str(missing))
        steady = await steady_load(stack, server, VIEWERS)
        assert await steady.run(20, 500.0)
        assert steady.share == 100
        assert quantile_ms(await steady.latencies(0), 0.5) > 0


@nats_server.needed
async def test_two_ws_nodes_share_the_viewers_of_a_session(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        OnNats(server, tmp_path, nodes=2) as two,
        AsyncExitStack() as stack,
    ):
        steady = await steady_load(stack, two, VIEWERS)
        assert await steady.run(20, 500.0)
        assert steady.share == 100
        with closing(two.bus(steady.due)) as bus:
            await asyncio.to_thread(flood, bus, steady.viewers, 0.05)
            assert steady.viewers.slowest == bus.sent > steady.due


@pytest.mark.parametrize("kind", [RawSend, WebsocketsBroadcast], ids=lambda kind: kind.name)
async def test_one_at_a_time_and_as_many_as_possible(kind: type[Server]) -> None:
    async with kind() as server:
        viewers = await asyncio.to_thread(server.connect, VIEWERS)
        publisher = server.publisher()
        try:
            await asyncio.to_thread(deliver, viewers, publisher.send, 10)
            assert viewers.deliveries == 10 * VIEWERS
            await asyncio.to_thread(flood, publisher, viewers, 0.05)
            assert viewers.slowest == publisher.sent
            assert viewers.deliveries == publisher.sent * VIEWERS
        finally:
            viewers.close()
            publisher.close()


async def test_a_peer_that_is_not_installed_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path: None)
    async with started([Nats()]) as running:
        assert running == []
    assert "skipped: nats-server is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_frames_of_nats_are_read_wherever_they_are_cut(size: int) -> None:
    payloads = [b"a" * 5, b"b" * 125, b"c" * 126, b"d" * 70_000, b"e"]
    stream = b"".join(_binary_frame(payload) for payload in payloads)
    viewers = NatsViewers([])
    viewers._left[0], viewers._begun[0] = 0, b""
    chunks = [memoryview(stream[at : at + size]) for at in range(0, len(stream), size)]
    assert sum(viewers._useful(0, chunk) for chunk in chunks) == sum(map(len, payloads))


def _binary_frame(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x82, size)) + payload
    if size < 65_536:
        return b"\x82\x7e" + size.to_bytes(2, "big") + payload
    return b"\x82\x7f" + size.to_bytes(8, "big") + payload
