"""Two nodes with a tcp bridge between them: on one machine, and each with its own directory."""

import contextlib
from pathlib import Path

import zmq

from proto import wire
from serving.curve import keys as curve
from serving.curve.allow_list import AllowList
from tests.clients import frame
from tests.integration.rooms import make_room, say
from tests.integration.test_two_machines import two_directories
from tests.node_process import reserved_port
from tests.pair import Pair
from tests.security.unharmed import new_room
from tests.waiting import START_SECONDS, until
from tests.ws_node.making import make_event


async def crosses(pair: Pair) -> None:
    """What is said comes over the bridge, not by way of the log."""
    room = await make_room(pair, new_room())
    async with pair.viewer(room) as viewer, pair.rest() as rest:
        before = await pair.metric(pair.ws, "collected_total")
        said = await say(rest, room, "hello")
        assert (await frame(viewer))["position"] == said

        async def collected() -> bool:  # a slow bridge may come after the log
            return await pair.metric(pair.ws, "collected_total") == before + 1

        await until(collected)


def apart(base: Path, port: int, mcp_port: int) -> Pair:
    """Both nodes, ws_node with a directory of its own, holding what an operator copies to it."""
    pair = two_directories(
        base,
        mcp={
            "BRIDGE_ENDPOINT": f"tcp://127.0.0.1:{port}",
            "MCP_PORT": mcp_port,
            "SIGNED_REQUESTS": "true",
        },
        ws={
            "BRIDGE_ENDPOINT": f"tcp://0.0.0.0:{port}",
            "MCP_URL": f"http://127.0.0.1:{mcp_port}",
        },
    )
    theirs = base / "ws-data"
    curve.trust_server(pair.data_dir, curve.server_keys(theirs).public)
    AllowList(theirs).add(curve.client_keys(pair.data_dir).public)
    return pair


async def test_one_machine_needs_no_configuration_and_either_node_may_start_again() -> None:
    with reserved_port() as port:
        async with Pair(BRIDGE_ENDPOINT=f"tcp://localhost:{port}") as pair:
            await crosses(pair)
            names = {file.name for file in pair.data_dir.iterdir()}
            assert {"curve-server.key", "curve-client.key"} <= names
            assert not [name for name in names if name.startswith(".")], "temporary files"
            keys = [file for file in pair.data_dir.iterdir() if file.is_file()]
            assert {file.stat().st_mode & 0o777 for file in keys} == {0o600}
            await a_plain_peer_is_counted(pair, port)
            for node in (pair.ws, pair.mcp):
                node.kill()
                await node.start()
                await until(pair.joined)
                await crosses(pair)


async def a_plain_peer_is_counted(pair: Pair, port: int) -> None:
    """Who speaks without a key is refused, and the node lives."""
    before = await pair.metric(pair.ws, "collected_total")
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.set(zmq.LINGER, 0)
        push.connect(f"tcp://localhost:{port}")
        push.send_multipart(wire.encode(make_event(1)), zmq.NOBLOCK)

        async def refused() -> bool:
            return await pair.metric(pair.ws, "bridge_refused_total") > 0

        await until(refused)
        assert await pair.metric(pair.ws, "collected_total") == before
        await crosses(pair)


async def test_two_machines_that_know_each_other_are_bridged(tmp_path: Path) -> None:
    with reserved_port() as port, reserved_port() as mcp_port:
        async with apart(tmp_path, port, mcp_port) as pair:
            await crosses(pair)
            assert not (tmp_path / "ws-data" / "signing.key").exists()


async def test_an_mcp_node_gets_in_as_soon_as_it_is_listed(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        ports = [stack.enter_context(reserved_port()) for _ in range(2)]
        pair = apart(tmp_path, *ports)
        allowed = AllowList(tmp_path / "ws-data")
        own = curve.client_keys(pair.data_dir).public
        allowed.remove(own)
        stack.callback(pair.mcp.end)
        stack.callback(pair.ws.end)
        await pair.ws.start()
        await pair.mcp.start()

        async def refused() -> bool:
            return await pair.metric(pair.ws, "bridge_refused_total") > 0

        await until(refused)
        assert own in pair.ws.output()
        assert not await pair.joined()
        allowed.add(own)
        await until(pair.joined)
        await crosses(pair)


async def test_mcp_node_refuses_an_address_that_is_only_for_listening(tmp_path: Path) -> None:
    pair = Pair(tmp_path, BRIDGE_ENDPOINT="tcp://0.0.0.0:23459")
    pair.mcp.spawn()
    assert pair.mcp.process
    assert pair.mcp.process.wait(START_SECONDS) == 2
    assert "give mcp_node the address of ws_node's machine" in pair.mcp.output().splitlines()[-1]
