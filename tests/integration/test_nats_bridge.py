"""PARTYLINE_BRIDGE=nats: one mcp_node, two ws_nodes, and a nats-server that is killed."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
import websockets

from proto import keyfile
from proto.settings import load_settings
from proto.subjects import Subjects
from proto.wire import pack
from serving.bus import nkeys
from serving.bus.bus import Bus
from tests import nats_server
from tests.clients import frame, is_quiet, plain_client
from tests.integration.rooms import (
    gathered,
    make_room,
    readiness,
    say,
    say_last,
    transcript,
    whole_log,
)
from tests.integration.test_kill_mcp import Load
from tests.integration.test_presence import ASKING, told
from tests.integration.test_workers import reach_everybody
from tests.nats_server import NatsServer
from tests.node_process import Node
from tests.pair import Pair
from tests.waiting import until
from tests.ws_node.making import make_event

NEVER = 60
"""Seconds between comparisons with the log: what comes sooner came over the bus."""


class Cluster:
    """One mcp_node, two ws_nodes; the second as on another machine."""

    def __init__(self, directory: Path, server: NatsServer, **settings: Any) -> None:
        self.server = server
        self.pair = Pair(
            directory / "pair",
            BRIDGE="nats",
            mcp_settings=server.nkey("mcp_node") | {"SIGNED_REQUESTS": "true"},
            ws_settings=server.nkey("ws_node"),
            **settings,
        )
        self._data_dir = directory / "second"
        environment = self.pair.ws.environment | {"PARTYLINE_DATA_DIR": str(self._data_dir)}
        self.second = Node("ws", environment, directory / "second.log")

    @property
    def nodes(self) -> tuple[Node, Node]:
        """Both ws_nodes."""
        return self.pair.ws, self.second

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Cluster"]:
        async with self.pair as pair:
            keyfile.open_data_dir(self._data_dir)
            for name in ("signing.pub", "bridge.key"):
                shutil.copy2(pair.data_dir / name, self._data_dir / name)
            self.second.environment["PARTYLINE_MCP_URL"] = pair.mcp_url
            try:
                await self.second.start()
                await until(self.joined)
                yield self
            finally:
                self.second.end()
                print(f"--- second ws_node\n{self.second.output()}")

    async def joined(self) -> bool:
        """Whether both ws_nodes follow the log and are on the bus."""
        words = [(await readiness(node.url))[1] for node in self.nodes]
        return await self.pair.joined() and all(one.get("status") == "ready" for one in words)

    def viewer(self, node: Node, room: str, query: str = "", **who: Any) -> websockets.connect:
        """A viewer of one of the ws_nodes."""
        return websockets.connect(
            f"ws://127.0.0.1:{node.port}/ws/{room}{query}",
            additional_headers=self.pair.headers(**{"agent": "watcher", **who}),
            compression=None,
            proxy=None,
        )

    async def figure(self, node: Node, name: str) -> float:
        headers = self.pair.headers("boss", scopes="admin")
        async with plain_client() as client:
            text = (await client.get(f"{node.url}/metrics", headers=headers)).text
        found = re.search(rf"^partyline_{name} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path) as running:
        yield running


@nats_server.needed
async def test_both_ws_nodes_get_every_message_over_the_bus(
    tmp_path: Path, server: NatsServer, name: str
) -> None:
    async with Cluster(tmp_path, server, LOG_POLL_SECONDS=NEVER).running() as cluster:
        pair, room = cluster.pair, await make_room(cluster.pair, f"{name}.with..dots.")
        other = await make_room(pair, f"{name}-unwatched")
        async with (
            pair.rest() as rest,
            cluster.viewer(pair.ws, room) as one,
            cluster.viewer(cluster.second, room) as two,
        ):
            said = []
            for n in range(50):
                said.append(await say(rest, room, f"message {n}"))
                await say(rest, other, "nobody looks")
            for viewer in (one, two):
                assert [(await frame(viewer))["position"] for _ in said] == said
            for node in cluster.nodes:
                assert await cluster.figure(node, "collected_total") == len(said)
                assert await cluster.figure(node, "repairs_total") == 0

            # Rooms open while they are written to: nothing falls between log and bus.
            for turn in range(10):
                fresh = await make_room(pair, f"{name}-{turn}")
                writing = asyncio.create_task(_write(pair, fresh, 30))
                async with (
                    cluster.viewer(pair.ws, fresh, "?since=0") as early,
                    cluster.viewer(cluster.second, fresh, "?since=0") as late,
                ):
                    ids = await writing
                    for viewer in (early, late):
                        got = [await frame(viewer, 10) for _ in range(31)]
                        assert [g["position"] for g in got if g["type"] == "new_message"] == ids
        await _nothing_secret(cluster)


async def _write(pair: Pair, room: str, count: int) -> list[int]:
    async with pair.rest() as rest:
        return [await say(rest, room, str(n)) for n in range(count)]


async def _nothing_secret(cluster: Cluster) -> None:
    told = "".join(node.output() for node in (cluster.pair.mcp, *cluster.nodes))
    for node in (cluster.pair.mcp, *cluster.nodes):
        assert node.process is not None
        told += str(psutil.Process(node.process.pid).cmdline())
        told += str(await readiness(node.url))
    for node in nkeys.FILES:
        assert cluster.server.nkey_file(node).read_text() not in told


@nats_server.needed
async def test_while_nats_server_dies_nothing_is_lost_repeated_or_reordered(
    tmp_path: Path, server: NatsServer, name: str
) -> None:
    async with Cluster(tmp_path, server, LOG_POLL_SECONDS=0.5).running() as cluster:
        pair = cluster.pair
        rooms = [await make_room(pair, f"{name}-{colour}") for colour in ("red", "green")]
        async with contextlib.AsyncExitStack() as stack:
            reading = []
            for room in rooms:
                for node in cluster.nodes:
                    viewer = await stack.enter_async_context(cluster.viewer(node, room))
                    reading.append((room, asyncio.create_task(transcript(viewer))))
            load = Load(pair, rooms)
            for _ in range(4):
                await load.more(100)
                server.kill()
                for node in cluster.nodes:
                    await until(lambda node=node: _bus_is_away(node))
                await load.more(50)  # agents do not notice
                await server.start()
                await until(cluster.joined)
            await load.more(50)
            await load.end()
            assert load.failures == 0
            for room in rooms:
                await say_last(pair, room)
            logs = {room: (await whole_log(pair, room))[:-1] for room in rooms}
            for room, task in reading:
                seen = (await gathered(task))[0]
                assert [one["id"] for one in seen] == [one["id"] for one in logs[room]]
        assert "not connected to nats-server" in pair.mcp.output()


async def _bus_is_away(node: Node) -> bool:
    return (await readiness(node.url))[1].get("bus") == "away"


@nats_server.needed
async def test_broadcasts_and_counts_cross(tmp_path: Path, server: NatsServer, name: str) -> None:
    async with Cluster(tmp_path, server).running() as cluster:
        pair, room = cluster.pair, await make_room(cluster.pair, name)
        async with (
            cluster.viewer(pair.ws, room) as one,
            cluster.viewer(cluster.second, room) as two,
            cluster.viewer(cluster.second, room, agent="boss", scopes="read,admin") as admin,
            plain_client() as client,
        ):
            for number, node in enumerate(cluster.nodes):
                body = {"type": "note", "data": {"n": number, "visibility": "public"}}
                answer = await client.post(f"{node.url}/broadcast/{room}", json=body)
                assert answer.json() == {"success": True, "session_id": room}
                for viewer in (one, two, admin):
                    received = await frame(viewer)
                    assert received["data"] == body["data"] and received["origin"] == "external"
            hidden = {"type": "note", "data": {"visibility": "admin_only"}}
            await client.post(f"{pair.ws.url}/broadcast/{room}", json=hidden)
            assert (await frame(admin))["data"] == hidden["data"]
            for viewer in (one, two):
                await is_quiet(viewer)

            await _forge(cluster, room)
            for viewer in (one, two, admin):
                received = await frame(viewer)
                assert received["origin"] == "external" and "position" not in received
                assert received["data"]["content"] == "an event, says who receives it"
                await is_quiet(viewer)

        async with cluster.viewer(pair.ws, room, ASKING) as one:
            await told(one, lambda data: data["viewers"] == 1)
            async with cluster.viewer(cluster.second, room, ASKING) as two:
                for viewer in (one, two):
                    await told(viewer, lambda data: data["viewers"] == 2)
            await told(one, lambda data: data["viewers"] == 1)
            async with cluster.viewer(cluster.second, room, ASKING):
                await told(one, lambda data: data["viewers"] == 2)
                cluster.second.kill()
            await told(one, lambda data: data["viewers"] == 1, within=30)


async def _forge(cluster: Cluster, room: str) -> None:
    """What somebody with a ws_node's credentials can do: send an external event, and no message."""
    settings = load_settings(
        data_dir=cluster.pair.data_dir,
        bridge="nats",
        nats_url=cluster.server.address,
        nats_nkey_file=cluster.server.nkey_file("ws_node"),
    )
    forger, subjects = Bus(settings, "forger"), Subjects("default")
    message = make_event(10**6, b'{"forged":true}', session_id=room, prev=0, epoch="e" * 32)
    frame_of_one = {
        "type": "new_message",
        "position": 10**6,
        "data": {"content": "an event, says who receives it", "sender": "boss"},
    }
    task = asyncio.create_task(forger.run())
    try:
        await until(lambda: forger.connected)
        forger.publish(subjects.message(room), pack(message))
        await until(lambda: forger.refused == 1)
        forger.publish(subjects.external(room), json.dumps(frame_of_one).encode())
        await forger.drain()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@nats_server.needed
async def test_workers_are_each_on_the_bus(tmp_path: Path, server: NatsServer, name: str) -> None:
    async with Pair(
        tmp_path / "pair",
        BRIDGE="nats",
        WS_WORKERS=2,
        METRICS_LOOPBACK=True,
        mcp_settings=server.nkey("mcp_node"),
        ws_settings=server.nkey("ws_node"),
    ) as pair:
        await reach_everybody(pair, name)


@pytest.mark.parametrize("module", ["mcp_node", "ws_node"])
def test_a_node_without_nats_py_does_not_start(tmp_path: Path, module: str) -> None:
    program = (
        "import runpy, sys; sys.modules['nats'] = None; "
        f"runpy.run_module('{module}', run_name='__main__')"
    )
    settings = {
        "PARTYLINE_DATA_DIR": str(tmp_path / "data"),
        "PARTYLINE_MCP_PORT": "0",
        "PARTYLINE_WS_PORT": "0",
        "PARTYLINE_BRIDGE": "nats",
        "PARTYLINE_NATS_URL": "nats://me:hush@localhost",
    }
    ended = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | settings, capture_output=True, timeout=120
    )
    assert ended.returncode == 2
    last = ended.stderr.decode().strip().splitlines()[-1]
    assert "pip install partyline[cluster]" in last
    assert b"hush" not in ended.stderr + ended.stdout
