"""What a viewer may send: never more than so many frames a second, whatever one read holds."""

import asyncio
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waiting import PATIENCE, until
from tests.ws_node.making import Live
from ws_node.endpoints.read_buffer import FRAMES_AT_ONCE, FRAMES_PER_SECOND, PIECE_BYTES, ReadBuffer

PING = b"\x89\x80\0\0\0\0"
PONG = b"\x8a\x80\0\0\0\0"
TEXT = b"\x81\x84\0\0\0\0ping"
BEGUN = b"\x01\x80\0\0\0\0"
GOES_ON = b"\x00\x80\0\0\0\0"


@given(st.lists(st.binary(max_size=3_000)))
def test_bytes_come_out_as_they_came(parts: list[bytes]) -> None:
    buffer = ReadBuffer()
    for part in parts:
        buffer.add(part)
    out = b""
    while buffer:
        piece = buffer.read()
        assert 0 < len(piece) <= PIECE_BYTES
        out += piece
    assert out == b"".join(parts)


@given(st.lists(st.tuples(st.integers(0, 400), st.floats(0, 3)), min_size=1))
def test_frames_have_a_rate(steps: list[tuple[int, float]]) -> None:
    buffer, now, total = ReadBuffer(), 1_000.0, 0
    for frames, pause in steps:
        total += frames
        now += pause + buffer.delay(frames, now)
        largest = max(frames for frames, _ in steps)
        assert total <= FRAMES_AT_ONCE + largest + FRAMES_PER_SECOND * (now - 1_000.0) + 1e-6


@pytest.mark.parametrize("header", ["", "Authorization: Basic x\r\n"], ids=["viewer", "refused"])
@pytest.mark.parametrize("frame", [PING, PONG, TEXT, GOES_ON], ids=["ping", "pong", "text", "part"])
async def test_a_flood_of_frames_is_parsed_slowly(
    tmp_path: Path, frame: bytes, header: str
) -> None:
    keepalive = {"ws_ping_interval": 2.0, "ws_ping_timeout": 1.0}  # a peer that has gone is noticed
    async with Live(tmp_path).running(**keepalive) as live:
        live.open_room()
        loop = asyncio.get_running_loop()
        peer = await live.raw_viewer(buffer=65_536, header=header)
        connection = live.connections[0]
        parsed, most_waiting = 0, 0
        handle = connection.handle_events

        def count() -> None:
            nonlocal parsed, most_waiting
            parsed += len(connection.conn.events)
            handle()
            most_waiting = max(most_waiting, connection.queue.qsize())

        connection.handle_events = count  # type: ignore[method-assign]
        begin = loop.time()
        data = (BEGUN if frame is GOES_ON else b"") + frame * 20_000
        flood = asyncio.create_task(loop.sock_sendall(peer, data))
        await until(lambda: parsed > FRAMES_AT_ONCE or connection.queue.qsize() > 1)
        async with live.viewer() as other:
            await other.send("ping")
            assert await asyncio.wait_for(other.recv(), PATIENCE) == "pong"
        piece = PIECE_BYTES // len(frame) + 2
        assert parsed <= FRAMES_AT_ONCE + piece + FRAMES_PER_SECOND * (loop.time() - begin)
        assert most_waiting <= piece
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)
        peer.close()
        await until(lambda: live.places.total == live.sockets.refusals.total == 0)


async def test_a_large_command_and_many_small_ones_are_heeded_in_order(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        async with live.viewer() as viewer:
            await viewer.send('{"type":"ping"%s}' % (" " * 60_000))
            assert await viewer.recv() == '{"type":"pong"}'
            for _ in range(20):
                await viewer.send("ping")
            assert [await viewer.recv() for _ in range(20)] == ["pong"] * 20
            await viewer.close(1000)
        assert viewer.close_code == 1000


async def test_a_goodbye_behind_many_frames_is_heard(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        peer = await live.raw_viewer(buffer=65_536)
        goodbye = b"\x88\x82\0\0\0\0" + struct.pack("!H", 1000)
        await asyncio.get_running_loop().sock_sendall(peer, PONG * 300 + goodbye)
        await until(lambda: live.places.total == 0)
        peer.close()
