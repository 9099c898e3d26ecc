"""The bus against a real nats-server: what it delivers, and what it does when that is away."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from proto.errors import ConfigurationError
from proto.settings import Settings, load_settings
from serving.bus.bus import Bus
from tests import nats_server
from tests.integration.relay import Authority
from tests.nats_server import NatsServer
from tests.waiting import until

pytestmark = nats_server.needed

ROOM = "partyline.default.s.room"
SHOWN = "partyline.default.*.room"


def for_node(directory: Path, url: str, **more: Any) -> Settings:
    return load_settings(data_dir=directory, bridge="nats", nats_url=url, **more)


@contextlib.asynccontextmanager
async def running(bus: Bus, *, connected: bool = True) -> AsyncIterator[Bus]:
    task = asyncio.create_task(bus.run())
    try:
        if connected:
            await until(lambda: bus.connected)
        yield bus
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def both(directory: Path, server: NatsServer, **more: Any) -> AsyncIterator[tuple[Bus, Bus]]:
    """Those of a mcp_node and a ws_node."""
    async with (
        running(Bus(for_node(directory, server.url("mcp_node"), **more), "mcp_node")) as mcp,
        running(Bus(for_node(directory, server.url("ws_node"), **more), "ws_node")) as ws,
    ):
        yield mcp, ws


class Received:
    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.subjects: set[bytes] = set()

    def __call__(self, subject: bytes, payload: bytes) -> None:
        self.subjects.add(subject)
        self.payloads.append(payload)


async def test_what_is_subscribed_comes_in_order_and_nothing_else(tmp_path: Path) -> None:
    got, other = Received(), Received()
    async with NatsServer(tmp_path) as server, both(tmp_path, server) as (mcp, ws):
        ws.subscribe(SHOWN, got)
        ws.subscribe("partyline.default.*.other", other)
        await ws.subscribed(SHOWN)
        sent = [b"%d" % n for n in range(2_000)]
        for payload in sent:
            mcp.publish(ROOM, payload)
            mcp.publish("partyline.default.s.unwatched", payload)
        await until(lambda: len(got.payloads) == len(sent))
        assert got.payloads == sent and got.subjects == {ROOM.encode()}
        assert mcp.published == 2 * len(sent) and mcp.dropped == 0

        ws.unsubscribe(SHOWN)
        ws.subscribe("partyline.default.*.later", other)
        await ws.subscribed("partyline.default.*.later")  # what came before has been told, too
        mcp.publish(ROOM, b"too late")
        mcp.publish("partyline.default.s.later", b"in time")
        await until(lambda: other.payloads == [b"in time"])
        assert got.payloads == sent


async def test_a_subscription_is_there_once_it_was_waited_for(tmp_path: Path) -> None:
    """Without the wait the message, over another connection, would sometimes be first."""
    async with NatsServer(tmp_path) as server, both(tmp_path, server) as (mcp, ws):
        for number in range(100):
            got = Received()
            session = f"room{number}"
            ws.subscribe(f"partyline.default.*.{session}", got)
            await ws.subscribed(f"partyline.default.*.{session}")
            mcp.publish(f"partyline.default.s.{session}", b"1")
            await until(lambda got=got: got.payloads == [b"1"], every=0.001)


async def test_a_killed_server_is_found_again_and_nothing_old_is_sent(tmp_path: Path) -> None:
    got, caught_up = Received(), []
    async with (
        NatsServer(tmp_path) as server,
        running(Bus(for_node(tmp_path, server.url("mcp_node")), "mcp_node")) as mcp,
        running(
            Bus(
                for_node(tmp_path, server.url("ws_node")),
                "ws_node",
                on_subscribed=lambda: caught_up.append(1),
            )
        ) as ws,
    ):
        ws.subscribe(SHOWN, got)
        await ws.subscribed(SHOWN)
        for turn in range(3):
            server.kill()
            await until(lambda: not mcp.connected and not ws.connected)
            dropped = mcp.dropped
            mcp.publish(ROOM, b"lost")
            assert (mcp.dropped, mcp.waiting) == (dropped + 1, 0)
            await asyncio.wait_for(ws.subscribed(SHOWN), 0.5)  # nobody waits for who is away
            before = len(caught_up)
            await server.start()
            await until(lambda: mcp.connected and len(caught_up) == before + 1)  # noqa: B023
            mcp.publish(ROOM, b"%d" % turn)
            await until(lambda: len(got.payloads) == turn + 1)  # noqa: B023
    assert got.payloads == [b"0", b"1", b"2"]


def test_publishing_at_the_moment_of_the_server_s_death_drops_and_raises_nothing(
    tmp_path: Path,
) -> None:
    async def publish_all_the_time() -> None:
        async with NatsServer(tmp_path) as server:
            bus = Bus(for_node(tmp_path, server.url("mcp_node")), "mcp_node")
            async with running(bus):
                server.kill()
                while bus.connected:  # in each turn of the loop, also between end and notice
                    bus.publish(ROOM, b"x")
                    assert bus.waiting >= 0
                    await asyncio.sleep(0)
                assert bus.dropped

    uvloop.run(publish_all_the_time())  # the nodes' loop; asyncio's own lets closed sockets write


async def test_a_server_that_hangs_costs_bounded_memory_and_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.bus.bus.PING_SECONDS", 0.3)
    most, payload = 1_048_576, b"." * 10_000
    async with NatsServer(tmp_path) as server:
        mcp = Bus(for_node(tmp_path, server.url("mcp_node"), bridge_backlog_bytes=most), "mcp_node")
        async with running(mcp):
            server.pause()
            for _ in range(10_000):  # far more than the kernel takes
                mcp.publish(ROOM, payload)
                await asyncio.sleep(0)
                assert mcp.waiting * len(payload) <= most + len(payload)
                if mcp.dropped:
                    break
            assert mcp.dropped and mcp.connected
            await until(lambda: not mcp.connected, within=10)
            assert mcp.waiting == 0
            server.resume()
            await until(lambda: mcp.connected)


async def test_wrong_credentials_are_told_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with NatsServer(tmp_path) as server:
        wrong = server.url("ws_node").replace("ws-secret", "wrong-secret")
        async with running(Bus(for_node(tmp_path, wrong), "ws_node"), connected=False) as bus:
            await until(lambda: "not connected to nats-server" in caplog.text)
            assert "authorization violation" in caplog.text.lower()
            assert not bus.connected
    assert "secret" not in caplog.text


async def test_a_server_without_users_is_refused_unless_auth_is_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with NatsServer(tmp_path, "max_payload: 4MB") as server:
        url = f"nats://127.0.0.1:{server.port}"
        async with running(Bus(for_node(tmp_path, url), "ws_node"), connected=False) as bus:
            await until(lambda: "asks for no credentials" in caplog.text)
            assert not bus.connected
        async with running(Bus(for_node(tmp_path, url, auth="off"), "ws_node")):
            pass


async def test_who_wants_tls_tells_a_plain_server_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","auth_required":true,"max_payload":1048576}\r\n')
        asked.extend(await reader.read(1_000))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as plain:
        url = f"tls://me:secret@127.0.0.1:{plain.sockets[0].getsockname()[1]}"
        async with running(Bus(for_node(tmp_path, url), "ws_node"), connected=False):
            await until(lambda: "offers no TLS" in caplog.text)
    assert asked == b""


async def test_over_tls_with_a_client_certificate_for_credentials(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = await asyncio.to_thread(Authority, tmp_path / "ours")
    other = await asyncio.to_thread(Authority, tmp_path / "other")
    pem = tmp_path / "ours" / "node.pem"
    configuration = f"""
        tls {{ cert_file: "{pem}", key_file: "{pem}", ca_file: "{ours.ca_file}", \
verify_and_map: true }}
        authorization {{ users = [ {{ user: "CN=node" }} ] }}
    """
    got = Received()
    async with NatsServer(tmp_path, configuration) as server:
        url = f"tls://127.0.0.1:{server.port}"
        settings = for_node(tmp_path, url, ca_file=ours.ca_file, nats_cert_file=pem)
        async with running(Bus(settings, "mcp_node")) as mcp, running(Bus(settings, "ws")) as ws:
            ws.subscribe(SHOWN, got)
            await ws.subscribed(SHOWN)
            mcp.publish(ROOM, b"over TLS")
            await until(lambda: got.payloads == [b"over TLS"])
            server.kill()
            await until(lambda: not mcp.connected)
            await server.start()
            await until(lambda: mcp.connected and ws.connected)
        for wrong in (
            {"ca_file": other.ca_file, "nats_cert_file": pem},
            {"ca_file": ours.ca_file, "nats_cert_file": tmp_path / "other" / "node.pem"},
        ):
            caplog.clear()
            stranger = Bus(for_node(tmp_path, url, **wrong), "ws_node")
            async with running(stranger, connected=False):
                await until(lambda: "not connected to nats-server" in caplog.text)
                assert not stranger.connected


def test_without_nats_py_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nats", None)  # as if it were not installed
    with pytest.raises(ConfigurationError, match=r"pip install partyline\[cluster\]"):
        Bus(for_node(tmp_path, "nats://localhost"), "ws_node")


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    for setting in ("ca_file", "nats_cert_file"):
        with pytest.raises(ConfigurationError, match="PARTYLINE_NATS_CERT_FILE"):
            Bus(for_node(tmp_path, "nats://localhost", **{setting: tmp_path / "none"}), "ws_node")


async def test_a_room_that_is_dropped_and_opened_again_misses_nothing(tmp_path: Path) -> None:
    got = Received()
    async with NatsServer(tmp_path) as server, both(tmp_path, server) as (mcp, ws):
        ws.subscribe(SHOWN, got)
        await ws.subscribed(SHOWN)
        for number in range(200):
            ws.unsubscribe(SHOWN)
            if number % 2:
                await asyncio.sleep(0.001)
            ws.subscribe(SHOWN, got)
            await ws.subscribed(SHOWN)
            mcp.publish(ROOM, b"%d" % number)
            await until(lambda number=number: len(got.payloads) == number + 1, every=0.001)
    assert got.payloads == [b"%d" % number for number in range(200)]


async def test_a_bus_that_is_cancelled_at_any_moment_ends(tmp_path: Path) -> None:
    """Also while nats-py's own waiting ends at that moment."""
    async with NatsServer(tmp_path) as server:
        for turns in range(60):
            bus = Bus(for_node(tmp_path, server.url("mcp_node")), "mcp_node")
            task = asyncio.create_task(bus.run())
            await until(lambda bus=bus: bus.connected, every=0)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait_for(asyncio.wait({task}), 30)
            assert task.cancelled() and not bus.connected
