"""What LendingProtocol takes from the pinned uvicorn and websockets, and how connections end."""

import asyncio
import inspect
import re
import socket
import struct
from importlib.metadata import version
from pathlib import Path

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import ConnectionClosed
from websockets.server import ServerProtocol

import ws_node.endpoints.protocol
from tests.waiting import PATIENCE, until
from tests.ws_node.making import Live, make_event
from ws_node.endpoints.protocol import LendingProtocol
from ws_node.rooms.disconnect import Disconnect

FILLER = b'{"x":"' + b"x" * 60_000 + b'"}'


@pytest.fixture
def quick_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ws_node.endpoints.protocol, "CLOSE_SECONDS", 0.3)


# What is private


def test_uvicorn_and_websockets_are_the_pinned_versions() -> None:
    assert (version("uvicorn"), version("websockets")) == ("0.54.0", "17.4")


async def test_every_private_thing_we_use_is_there(tmp_path: Path) -> None:
    """Each ``self.name`` of our class is uvicorn's, on a real connection, or our own."""
    source = inspect.getsource(LendingProtocol)
    used = set(re.findall(r"self\.(\w+)", source)) | {"queue", "writable", "disconnected"}
    own = {"_on_leave", "_leave", "_abort_later", "_refuse_handshake"}
    async with Live(tmp_path).running() as live:
        live.open_room()
        async with live.viewer():
            connection = live.connections[0]
            missing = {name for name in used - own if not hasattr(connection, name)}
            assert missing == set()
            assert isinstance(connection.conn, ServerProtocol)
            assert connection.conn.extensions == []
            assert isinstance(connection.queue, asyncio.Queue)
            assert isinstance(connection.writable, asyncio.Event)
            assert (connection.close_sent, connection.disconnected) == (False, False)
            assert connection.close_timer is None
            assert "partyline.connection" in connection.scope["extensions"]
    overridden = {
        name for name in vars(LendingProtocol) if inspect.isfunction(vars(LendingProtocol)[name])
    } & set(dir(WebSocketsSansIOProtocol))
    assert overridden == {
        *("handle_connect", "handle_close", "handle_parser_exception", "handle_ping"),
        *("connection_lost", "eof_received", "keepalive_timeout", "shutdown"),
        *("__init__", "data_received", "handle_events", "receive", "send"),
        "send_receive_event_to_app",
    }


async def test_writing_is_paused_and_resumed_for_a_peer_that_does_not_read(
    tmp_path: Path,
) -> None:
    """uvicorn 0.50.0 to 0.52.0 lacked it."""
    async with Live(tmp_path).running() as live:
        live.open_room()
        peer = await live.raw_viewer()
        connection = live.connections[0]
        while connection.writable.is_set():
            connection.transport.write(FILLER)
        reading = asyncio.create_task(drain(peer))
        await until(connection.writable.is_set)
        connection.disconnect(Disconnect.RESTART)
        await reading
        peer.close()


async def drain(peer: socket.socket) -> bytes:
    """Everything until the end."""
    loop, got = asyncio.get_running_loop(), bytearray()
    try:
        while piece := await loop.sock_recv(peer, 65_536):
            got += piece
            if b"\x88" in piece[-130:]:  # answer the close frame, masked
                await loop.sock_sendall(peer, b"\x88\x82\0\0\0\0\x03\xe8")
    except ConnectionError:
        pass
    return bytes(got)


# Closing


@pytest.mark.parametrize("why", list(Disconnect))
async def test_codes_and_reasons_arrive(tmp_path: Path, why: Disconnect) -> None:
    async with Live(tmp_path).running() as live:
        live.open_room()
        async with live.viewer() as viewer:
            live.hub.disconnect_all(why)
            live.hub.disconnect_all(why)
            with pytest.raises(ConnectionClosed) as closed:
                await viewer.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (why.code, why.reason)
        await until(lambda: live.places.total == 0)


async def test_no_data_after_a_close_frame(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        live.open_room()
        peer = await live.raw_viewer(buffer=65_536)
        viewer = next(iter(live.hub.connected))
        member = live.hub.subscriptions(viewer)["room"]
        for id_ in range(1, 50):
            live.queue.put(make_event(id_))
            if id_ == 25:
                await until(lambda: live.hub.fan_out.delivered == 25)
                viewer.connection.disconnect(Disconnect.RESTART)
                viewer.send(b"never")
                member.send_framed(b"\x81\x05never")
        got = await asyncio.wait_for(drain(peer), PATIENCE)
        peer.close()
        assert got.startswith(b"\x81\x02{}" * 25 + b"\x88")
        length = got[101]
        assert len(got) == 102 + length
        assert struct.unpack("!H", got[102:104]) == (4001,)


async def test_no_data_after_the_viewer_said_goodbye(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        live.open_room()
        peer = await live.raw_viewer()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(peer, b"\x88\x82\0\0\0\0\x03\xe8")
        await until(lambda: not live.hub.connected)
        live.queue.put(make_event(1))
        got = await asyncio.wait_for(drain(peer), PATIENCE)
        peer.close()
        assert got == b"\x88\x02\x03\xe8"
        assert live.hub.fan_out.delivered == 0


async def test_a_viewer_that_never_reads_is_cut_and_the_others_get_everything(
    tmp_path: Path, quick_close: None
) -> None:
    async with Live(tmp_path, max_unsent_bytes=65_536).running() as live:
        live.open_room()
        sleeper = await live.raw_viewer()
        async with live.viewer(max_size=None) as reader:
            await until(lambda: len(live.hub.connected) == 2)
            slow = live.connections[0]
            count = 0
            while not slow.close_sent:
                count += 1
                live.queue.put(make_event(count, FILLER))
                assert await asyncio.wait_for(reader.recv(), PATIENCE) == FILLER.decode()
                assert count < 1_000
            unsent = slow.transport.get_write_buffer_size()
            assert unsent < 65_536 + 2 * len(FILLER) + 200
            assert live.hub.fan_out.slow == 1
            assert slow.conn.close_sent is not None
            assert slow.conn.close_sent.code == Disconnect.SLOW.code
            await until(lambda: slow.disconnected)
            assert live.places.total == 1
            live.queue.put(make_event(count + 1))
            assert await asyncio.wait_for(reader.recv(), PATIENCE) == "{}"
        sleeper.close()


@pytest.mark.parametrize("ending", ["goodbye", "nonsense", "half close"])
async def test_who_ends_without_reading_the_rest_is_cut_too(
    tmp_path: Path, quick_close: None, ending: str
) -> None:
    """Closing a transport waits until it is empty: without a limit for ever."""
    async with Live(tmp_path).running() as live:
        live.open_room()
        peer = await live.raw_viewer()
        connection = live.connections[0]
        while connection.writable.is_set():
            connection.transport.write(FILLER)
        if ending == "half close":
            peer.shutdown(socket.SHUT_WR)
        else:
            data = b"\x88\x82\0\0\0\0\x03\xe8" if ending == "goodbye" else b"\xff\xff\xff"
            await asyncio.get_running_loop().sock_sendall(peer, data)
        await until(lambda: connection.disconnected)
        await until(lambda: live.places.total == 0)
        peer.close()


async def test_who_does_not_answer_pings_nor_reads_is_cut(
    tmp_path: Path, quick_close: None
) -> None:
    live = Live(tmp_path)
    async with live.running(ws_ping_interval=0.1, ws_ping_timeout=0.1):
        live.open_room()
        peer = await live.raw_viewer()
        connection = live.connections[0]
        while connection.writable.is_set():
            connection.transport.write(FILLER)
        await until(lambda: connection.disconnected)
        assert not live.hub.connected
        peer.close()


@pytest.mark.parametrize("flood", ["text", "frame"])
async def test_asking_without_reading_takes_no_memory(
    tmp_path: Path, quick_close: None, flood: str
) -> None:
    async with Live(tmp_path).running() as live:
        live.open_room()
        peer = await live.raw_viewer()
        connection = live.connections[0]
        if flood == "text":  # answered with an error of some 100 bytes each
            piece = (b"\x81\x81\0\0\0\0x") * 5_000
        else:
            piece = (b"\x89\xfd\0\0\0\0" + bytes(125)) * 500
        loop, most = asyncio.get_running_loop(), 0
        for _ in range(200):
            try:
                await asyncio.wait_for(loop.sock_sendall(peer, piece), 0.2)
            except (TimeoutError, ConnectionError):
                break
            most = max(most, connection.transport.get_write_buffer_size())
        assert most < 4 * 1_048_576
        if flood == "text":
            assert most < 262_144
        peer.close()
        await until(lambda: connection.disconnected)


async def test_a_viewer_that_vanishes_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        live.open_room()
        peer = await live.raw_viewer()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        await until(lambda: live.places.total == 0)
        assert not live.hub.connected
        assert not live.hub.rooms["room"].classes()


async def test_a_close_before_the_handshake_is_over_sends_no_frame(tmp_path: Path) -> None:
    """The room's position is not known: the handshake waits."""
    async with Live(tmp_path).running() as live:
        joining = asyncio.create_task(live.raw_viewer())
        await until(lambda: live.connections)
        live.connections[0].disconnect(Disconnect.RESTART)
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(joining, PATIENCE)
        await until(lambda: live.places.total == 0)
        assert not live.hub.connected


@pytest.mark.parametrize("sent", [b"", b"\x03\xe8", b"\x03\xe8bye", b"\x03\xe9", b"\x0f\xa0x"])
@pytest.mark.parametrize("before", [b"", b"\x89\x80\0\0\0\0", b"\x81\x84\0\0\0\0ping"])
async def test_a_close_frame_is_answered_with_its_own_code(
    tmp_path: Path, sent: bytes, before: bytes
) -> None:
    """RFC 6455, 5.5.1: whatever else the viewer said just before."""
    async with Live(tmp_path).running() as live:
        live.open_room()
        peer = await live.raw_viewer()
        masked = b"\x88" + bytes([0x80 | len(sent)]) + b"\0\0\0\0" + sent
        await asyncio.get_running_loop().sock_sendall(peer, before + masked)
        answer = await drain(peer)
        assert answer.endswith(b"\x88" + bytes([len(sent)]) + sent)
        assert answer.count(b"\x88") == 1
        peer.close()
        await until(lambda: live.places.total == 0)
