"""permessage-deflate on real connections: negotiated only if wished, shared, and bounded."""

import asyncio
import contextlib
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Opcode

from proto.messages import Visibility
from tests.clients import closed_with
from tests.waiting import PATIENCE, until
from tests.ws_node.making import Live, make_event
from ws_node.rooms.deflate import deflated_frame
from ws_node.rooms.framing import Framing, text_frame

MAX_BYTES = 65_536


def body(id_: int, size: int = 2_000) -> bytes:
    return b'{"n":%d,"text":"%s"}' % (id_, ("né " * size).encode())


async def numbers(viewer: Any, count: int) -> list[int]:
    async with asyncio.timeout(PATIENCE):
        return [json.loads(await viewer.recv())["n"] for _ in range(count)]


@contextlib.asynccontextmanager
async def deflating(directory: Path) -> AsyncIterator[Live]:
    live = Live(directory)
    async with live.running(ws_per_message_deflate=True, ws_max_size=MAX_BYTES):
        live.open_room()
        yield live


def answer(viewer: Any) -> str | None:
    return viewer.response.headers.get("Sec-WebSocket-Extensions")


async def test_without_the_option_nothing_is_negotiated(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        live.open_room()
        async with live.viewer(compression="deflate") as viewer:
            assert answer(viewer) is None
            assert live.connections[0].framing is Framing.WEBSOCKET
            live.queue.put(make_event(1, body(1)))
            assert await numbers(viewer, 1) == [1]


async def test_who_offers_nothing_gets_plain_frames(tmp_path: Path) -> None:
    async with deflating(tmp_path) as live:
        peer = await live.raw_viewer()
        text = body(1, 10)
        live.queue.put(make_event(1, text))
        got = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer, 1_000), PATIENCE)
        assert got == bytes((0x81, len(text))) + text
        peer.close()


async def test_all_kinds_get_the_same_live_and_from_the_ring(tmp_path: Path) -> None:
    header = {"X-Partyline-Agent": "alice", "X-Partyline-Agent-Type": "claude"}
    async with deflating(tmp_path) as live:
        too_small = [ClientPerMessageDeflateFactory(server_max_window_bits=9)]
        small = [ClientPerMessageDeflateFactory(server_max_window_bits=12)]
        async with (
            live.viewer() as plain,
            live.viewer(compression="deflate") as deflated,
            live.viewer(compression="deflate", additional_headers=header) as alice,
            live.viewer(extensions=small) as narrow,
            live.viewer(extensions=too_small) as declined,
        ):
            assert [bool(answer(each)) for each in (plain, deflated, narrow, declined)] == [
                *(False, True, True, False)
            ]
            live.queue.put(make_event(1, body(1)))
            live.queue.put(make_event(2, body(2), visibility=Visibility.PRIVATE))
            live.queue.put(make_event(None, b'{"n":0}'))
            live.queue.put(make_event(3, body(3)))
            for viewer in (plain, deflated, narrow, declined):
                assert await numbers(viewer, 3) == [1, 0, 3]
            assert await numbers(alice, 4) == [1, 2, 0, 3]
        for more, seen in (({}, [1, 3]), ({"additional_headers": header}, [1, 2, 3])):
            query = "?since=0"
            async with live.viewer(query=query, compression="deflate", **more) as back:
                assert json.loads(await back.recv())["recovered"] is True
                assert await numbers(back, len(seen)) == seen


async def test_large_messages_are_compressed_and_small_ones_and_answers_plain(
    tmp_path: Path,
) -> None:
    async with deflating(tmp_path) as live:
        peer = await live.raw_viewer(header="Sec-WebSocket-Extensions: permessage-deflate\r\n")
        loop, texts = asyncio.get_running_loop(), [body(1), b'{"n":2}', body(3)]
        for id_, text in enumerate(texts, 1):
            live.queue.put(make_event(id_, text))
        await until(lambda: live.hub.fan_out.delivered == 3)
        await loop.sock_sendall(peer, frame(b"ping", rsv1=False))
        got = b""
        while not got.endswith(b"\x81\x04pong"):
            got += await asyncio.wait_for(loop.sock_recv(peer, 1_000), PATIENCE)
        peer.close()
        frames = [deflated_frame(texts[0]), text_frame(texts[1]), deflated_frame(texts[2])]
        assert got == b"".join(frames) + b"\x81\x04pong"
        assert len(frames[0]) < len(texts[0]) / 10


@pytest.mark.parametrize("value", ["permessage-deflate; =", ";", 'permessage-deflate; a="', ""])
async def test_a_malformed_offer_is_refused_without_a_trace(tmp_path: Path, value: str) -> None:
    async with deflating(tmp_path) as live:
        with pytest.raises(websockets.InvalidStatus, match="400") as refused:
            async with live.viewer(additional_headers={"Sec-WebSocket-Extensions": value}):
                pass
        assert b"deflate" not in refused.value.response.body
        assert not live.connections


async def test_commands_may_be_compressed_and_in_pieces(tmp_path: Path) -> None:
    async with deflating(tmp_path) as live, live.viewer(compression="deflate") as viewer:
        await viewer.send("ping")
        assert await viewer.recv() == "pong"
        await viewer.send(['{"type":', ' "pi', 'ng"}'])
        assert await viewer.recv() == '{"type":"pong"}'
        await viewer.send("x" * 20_000)
        assert json.loads(await viewer.recv())["type"] == "error"


def frame(
    data: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True, rsv1: bool = True
) -> bytes:
    """A client's frame, compressed or not, masked with zeros."""
    size = len(data)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((fin << 7 | rsv1 << 6 | opcode,)) + length + bytes(4) + data


def deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


BOMB = deflate(bytes(32 * 1_048_576))

BAD = {
    "not deflate": (frame(b"\xff" * 50), 1002),
    "compressed continuation": (
        frame(deflate(b"a"), fin=False) + frame(deflate(b"b"), Opcode.CONT),
        1002,
    ),
    "compressed ping": (frame(b"", Opcode.PING), 1002),
    "not UTF-8": (frame(deflate(b"\xff\xfe")), 1007),
    "a bomb": (frame(BOMB), 1009),
    "a bomb in pieces": (
        frame(BOMB[:100], fin=False)
        + frame(BOMB[100:200], Opcode.CONT, fin=False, rsv1=False)
        + frame(BOMB[200:], Opcode.CONT, rsv1=False),
        1009,
    ),
    "one byte too many": (frame(deflate(b"x" * (MAX_BYTES + 1))), 1009),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_frame_ends_its_own_connection_alone(tmp_path: Path, what: str) -> None:
    data, code = BAD[what]
    assert len(data) < MAX_BYTES
    async with (
        deflating(tmp_path) as live,
        live.viewer(compression="deflate") as bad,
        live.viewer(compression="deflate") as good,
    ):
        tracemalloc.start()
        try:
            bad.transport.write(data)
            assert await closed_with(bad) == code
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 2 * 1_048_576
        await until(lambda: live.places.total == 1)
        live.queue.put(make_event(1, body(1)))
        assert await numbers(good, 1) == [1]
        await good.send("ping")
        assert await good.recv() == "pong"


async def test_a_command_as_large_as_may_be_is_taken(tmp_path: Path) -> None:
    async with deflating(tmp_path) as live, live.viewer(compression="deflate") as viewer:
        viewer.transport.write(frame(deflate(b"x" * MAX_BYTES)))
        assert json.loads(await viewer.recv())["type"] == "error"
        await viewer.send("ping")
        assert await viewer.recv() == "pong"
