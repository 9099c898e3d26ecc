"""Who may publish and receive what: nats-server with deploy/nats-server.conf decides."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from serving.bus import nkeys
from serving.bus.bus import Bus
from tests import nats_server
from tests.nats_server import NatsServer
from tests.serving.bus.test_bus import ROOM, SHOWN, Received, for_node, running
from tests.waiting import until

pytestmark = nats_server.needed

LOG, EXTERNAL = "partyline.default.s.room", "partyline.default.x.room"
VIEWERS, COMMITS = "partyline.default.viewers", "partyline.default.commits"
ELSEWHERE = (
    "partyline.other.s.room",
    "partyline.other.viewers",
    "partyline.default",
    "partyline.default.s.room.more",
    "partyline.default.y",
    "_INBOX.x",
    "$SYS.REQ.SERVER.PING",
)
EVERYTHING = (">", "partyline.>", "partyline.default.>", "partyline.*.*.*", "$SYS.>")

PUBLISH = {"mcp_node": {LOG, COMMITS}, "ws_node": {EXTERNAL, VIEWERS}}
SUBSCRIBE = {
    "mcp_node": {COMMITS},
    "ws_node": {LOG, EXTERNAL, VIEWERS, "partyline.default.*.*", "partyline.default.*.room"},
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path) as running:
        yield running


class Client:
    """The text protocol of NATS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connected(cls, server: NatsServer, node: str) -> "Client":
        client = cls(*await asyncio.open_connection("127.0.0.1", server.port))
        info = json.loads((await client._reader.readline()).removeprefix(b"INFO "))
        key = nkeys.read_key(server.nkey_file(node))
        client.write(
            "CONNECT",
            verbose=False,
            nkey=nkeys.public_key(key),
            sig=b64encode(key.sign(info["nonce"].encode())).decode(),
        )
        assert await client.answers() == []
        return client

    def write(self, line: str, **options: Any) -> None:
        text = f"{line} {json.dumps(options)}" if options else line
        self._writer.write(f"{text}\r\n".encode())

    async def answers(self) -> list[str]:
        """Everything the server says to what was written before."""
        self.write("PING")
        said = []
        while (line := (await self._reader.readline()).decode().strip()) != "PONG":
            assert line, f"the connection ended after {said}"
            said.append(line)
        return said

    def close(self) -> None:
        self._writer.close()


@pytest.mark.parametrize("node", PUBLISH)
async def test_a_node_publishes_only_what_is_its_own(server: NatsServer, node: str) -> None:
    client = await Client.connected(server, node)
    for subject in (LOG, EXTERNAL, VIEWERS, COMMITS, *ELSEWHERE):
        client.write(f"PUB {subject} 2\r\nhi")
        refusal = f"-ERR 'Permissions Violation for Publish to \"{subject}\"'"
        expected = [] if subject in PUBLISH[node] else [refusal]
        assert await client.answers() == expected, subject
    client.close()


@pytest.mark.parametrize("node", SUBSCRIBE)
async def test_a_node_subscribes_only_to_what_it_needs(server: NatsServer, node: str) -> None:
    client = await Client.connected(server, node)
    every = {subject for subjects in SUBSCRIBE.values() for subject in subjects}
    for number, subject in enumerate([*sorted(every), *ELSEWHERE, *EVERYTHING]):
        client.write(f"SUB {subject} {number}")
        refusal = f"-ERR 'Permissions Violation for Subscription to \"{subject}\"'"
        expected = [] if subject in SUBSCRIBE[node] else [refusal]
        assert await client.answers() == expected, subject
        client.write(f"SUB {subject} queue q{number}")  # in a group: it would take messages away
        assert (await client.answers() == []) is (subject in SUBSCRIBE[node]), subject
    client.close()


@pytest.mark.parametrize(
    "connect",
    [
        None,
        {},
        {"user": "mcp_node"},
        {"user": "mcp_node", "pass": "wrong"},
        {"auth_token": "mcp_node"},
        {"nkey": "{listed}"},
        {"nkey": "{listed}", "sig": "AAAA"},
    ],
)
async def test_who_proves_nothing_receives_and_publishes_nothing(
    tmp_path: Path, server: NatsServer, connect: dict[str, str] | None
) -> None:
    listed = nkeys.public_key(nkeys.read_key(server.nkey_file("mcp_node")))
    got = Received()
    settings = for_node(tmp_path, server.address, nats_nkey_file=server.nkey_file("ws_node"))
    async with running(Bus(settings, "ws_node")) as ws:
        ws.subscribe(SHOWN, got)
        await ws.subscribed(SHOWN)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert (await reader.readline()).startswith(b"INFO ")
        if connect is not None:
            told = {name: text.format(listed=listed) for name, text in connect.items()}
            writer.write(b"CONNECT %b\r\n" % json.dumps(told).encode())
        writer.write(b"SUB > 1\r\nPUB %b 6\r\nforged\r\nPING\r\n" % ROOM.encode())
        said, reset = b"", False
        try:
            while part := await reader.read(65_536):
                said += part
        except ConnectionResetError:  # it had not read all of that; its answer may be lost with it
            reset = True
        assert reset or b"-ERR 'Authorization Violation'" in said
        assert b"PONG" not in said and b"MSG" not in said
        writer.close()
        async with publishing(tmp_path, server) as mcp:
            mcp.publish(ROOM, b"genuine")
            await until(lambda: got.payloads)
        assert got.payloads == [b"genuine"]


def publishing(directory: Path, server: NatsServer) -> Any:
    file = server.nkey_file("mcp_node")
    return running(Bus(for_node(directory, server.address, nats_nkey_file=file), "mcp_node"))


async def test_what_a_ws_node_forges_reaches_nobody_and_is_told(
    tmp_path: Path, server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    got, file = Received(), server.nkey_file("ws_node")
    settings = for_node(tmp_path, server.address, nats_nkey_file=file)
    async with (
        running(Bus(settings, "ws_node")) as ws,
        running(Bus(settings, "ws_node")) as forger,
        publishing(tmp_path, server) as mcp,
    ):
        for subject in (SHOWN, VIEWERS):
            ws.subscribe(subject, got)
            await ws.subscribed(subject)
        for subject in (LOG, "partyline.default.s.other", COMMITS):
            forger.publish(subject, b"forged")
        await until(lambda: forger.refused == 3)
        assert forger.dropped == 3
        forger.publish(EXTERNAL, b"an event")
        await until(lambda: got.payloads == [b"an event"])
        for subject in (EXTERNAL, VIEWERS):
            mcp.publish(subject, b"not mine to send")
        await until(lambda: mcp.refused == 2)
        mcp.publish(LOG, b"a message")
        await until(lambda: got.payloads == [b"an event", b"a message"])
    assert "permissions violation for publish" in caplog.text
    assert file.read_text() not in caplog.text
