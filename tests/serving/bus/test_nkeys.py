"""Nkeys: how NATS writes them, whom nats-server lets in, and what a false server learns."""

import asyncio
import contextlib
import json
import logging
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ConfigurationError
from serving.bus import nkeys
from serving.bus.bus import Bus
from tests import nats_server
from tests.nats_server import NatsServer
from tests.serving.bus.test_bus import ROOM, for_node, running
from tests.waiting import until

SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
PUBLIC = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
"""From the documentation of NATS."""

NONCE = "b3JpZ2luYWwgbm9uY2U"


def test_a_seed_of_nats_has_the_public_key_that_nats_says() -> None:
    assert nkeys.public_key(nkeys.parse_seed(SEED)) == PUBLIC


def test_a_new_seed_is_read_as_the_same_key() -> None:
    one, two = nkeys.new_seed(), nkeys.new_seed()
    assert one != two
    assert one.startswith("SU") and len(one) == 58
    assert nkeys.public_key(nkeys.parse_seed(one)) != nkeys.public_key(nkeys.parse_seed(two))


@given(st.integers(0, 57), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_a_seed_with_another_letter_is_refused(place: int, letter: str) -> None:
    damaged = SEED[:place] + letter + SEED[place + 1 :]
    try:
        key = nkeys.parse_seed(damaged)
    except ValueError:
        return
    assert nkeys.public_key(key) == PUBLIC  # the last letter's spare bits


@pytest.mark.parametrize("text", ["", "a secret", PUBLIC, SEED[:-8], SEED.lower(), SEED + SEED])
def test_a_file_that_is_no_seed_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    file = tmp_path / "node.key"
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="is not the seed") as refusal:
        nkeys.read_key(file)
    assert not text or text not in str(refusal.value)


def test_a_seed_that_others_can_read_is_refused_when_the_node_starts(tmp_path: Path) -> None:
    file = tmp_path / "node.key"
    file.write_text(SEED)
    file.chmod(0o640)
    settings = for_node(tmp_path, "nats://localhost", nats_nkey_file=file)
    with pytest.raises(ConfigurationError, match="must be yours alone"):
        Bus(settings, "ws_node")
    with pytest.raises(ConfigurationError, match="does not exist"):
        Bus(for_node(tmp_path, "nats://localhost", nats_nkey_file=tmp_path / "no"), "ws_node")


@pytest.mark.parametrize("node", nkeys.FILES)
def test_without_a_setting_a_node_makes_its_own_key(tmp_path: Path, node: str) -> None:
    Bus(for_node(tmp_path, "nats://localhost"), node)
    (file,) = tmp_path.iterdir()
    assert file.name == nkeys.FILES[node]
    assert file.stat().st_mode & 0o777 == 0o600


@nats_server.needed
async def test_a_key_that_is_not_listed_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with NatsServer(tmp_path) as server:
        bus = Bus(for_node(tmp_path, server.address), "mcp_node")  # with a key of its own
        async with running(bus, connected=False):
            await until(lambda: "not connected to nats-server" in caplog.text)
            assert "authorization violation" in caplog.text.lower()
            assert not bus.connected


# A false nats-server


class FalseServer:
    """Listens where nats-server did, and records what clients say."""

    def __init__(self) -> None:
        self.connects: list[dict[str, Any]] = []

    @contextlib.asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator["FalseServer"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {"server_id": "x", "auth_required": True, "max_payload": 4 << 20, "nonce": NONCE}
        writer.write(b"INFO %b\r\n" % json.dumps(info).encode())
        try:
            line = await reader.readline()
            if line.startswith(b"CONNECT "):
                self.connects.append(json.loads(line.removeprefix(b"CONNECT ")))
        finally:
            writer.close()


async def admitted(port: int, connect: dict[str, Any]) -> bytes:
    """What nats-server answers to a CONNECT that was overheard."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        assert (await reader.readline()).startswith(b"INFO ")
        writer.write(b"CONNECT %b\r\nPING\r\n" % json.dumps(connect).encode())
        return (await reader.readline()).strip()
    finally:
        writer.close()


async def overheard(tmp_path: Path, server: NatsServer, **settings: Any) -> dict[str, Any]:
    """What mcp_node sends to who takes nats-server's port while it is away."""
    settings = {"nats_url": server.address} | settings
    async with running(Bus(for_node(tmp_path, settings.pop("nats_url"), **settings), "mcp_node")):
        server.kill()
        async with FalseServer().listening(server.port) as false:
            await until(lambda: false.connects)
    return false.connects[0]


@nats_server.needed
async def test_a_false_server_learns_nothing_that_lets_it_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with NatsServer(tmp_path) as server:
        file = server.nkey_file("mcp_node")
        heard = await overheard(tmp_path, server, nats_nkey_file=file)
        assert file.read_text() not in json.dumps(heard)
        assert not {"user", "pass", "auth_token", "jwt"} & heard.keys()
        key: Ed25519PrivateKey = nkeys.read_key(file)
        key.public_key().verify(
            b64decode(heard["sig"]), NONCE.encode()
        )  # only this nonce is signed

        await server.start()
        assert await admitted(server.port, heard) == b"-ERR 'Authorization Violation'"
        async with running(
            Bus(for_node(tmp_path, server.address, nats_nkey_file=file), "mcp_node")
        ) as again:
            again.publish(ROOM, b"the node itself is let in")
            await again.drain()
            assert again.refused == 0
    assert not [record for record in caplog.records if "is sent it" in record.message]


@nats_server.needed
async def test_a_password_is_given_away_and_the_node_warns_of_that(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with NatsServer(tmp_path) as server:
        with caplog.at_level(logging.WARNING):
            heard = await overheard(tmp_path, server, nats_url=server.url("mcp_node"))
        assert "whoever takes nats-server's port while it is away is sent it" in caplog.text
        await server.start()
        assert await admitted(server.port, heard) == b"PONG"
