"""Port 0: nodes take what the kernel gives them, tell it, and come back to it after a crash."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from serving.process.address import Name, address_path, running_url
from tests.clients import plain_client
from tests.commands import partyline
from tests.integration.test_up import launched
from tests.node_process import Node
from tests.pair import Pair
from tests.waiting import START_SECONDS, until


async def words(node: Node) -> dict[str, str]:
    async with plain_client() as client:
        answer: dict[str, str] = (await client.get(f"{node.url}/readyz")).json()
    return answer


@pytest.mark.parametrize(("name", "workers"), [("mcp", 1), ("ws", 1), ("ws", 2)])
async def test_a_node_tells_its_port_and_gets_it_back_after_a_crash(
    tmp_path: Path, name: Name, workers: int
) -> None:
    async with Pair(tmp_path, start=(name,), WS_WORKERS=workers) as pair:
        node: Node = getattr(pair, name)
        url = running_url(pair.data_dir, name)
        assert url == node.url
        assert (await words(node))["address"] == url
        assert node.process is not None
        node.process.kill()
        node.process.wait()
        assert running_url(pair.data_dir, name) is None
        node = Node(name, node.environment, node.log)  # which knows of no port
        try:
            await node.start()
            assert node.url == url
            await node.stop()
            assert not address_path(pair.data_dir, name).exists()
        finally:
            node.end()


async def test_a_former_port_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    async with Pair(tmp_path / "one", start=("mcp",)) as pair:
        taken = pair.mcp_port
        other = Pair(tmp_path / "two", start=())
        other.data_dir.mkdir(mode=0o700)
        address_path(other.data_dir, "mcp").write_text(f"http://127.0.0.1:{taken}\n")
        try:
            await other.mcp.start()
            assert other.mcp_port not in (0, taken)
        finally:
            other.mcp.end()
        assert (await words(pair.mcp))["status"] == "ready"


async def test_up_prints_the_ports_that_were_got_and_commands_find_them(tmp_path: Path) -> None:
    pair = Pair(tmp_path, start=())
    code, _, said = await partyline(pair, "login")
    assert code == 2 and "start it first" in said
    async with launched(pair, sys.executable, "-m", "mcp_node.commands.cli", "up") as running:
        await until(lambda: "claude mcp add" in running.output, within=START_SECONDS)
        for url in (pair.mcp_url, pair.ws_url):
            assert urlsplit(url).port and url in running.output
        code, url, _ = await partyline(pair, "login")
        assert code == 0 and url.startswith(f"{pair.ws_url}/#code=")
        async with plain_client() as client:
            told = (await client.get(f"{pair.ws_url}/static/deployment.json")).json()
        assert told["mcp_url"] == f"{pair.mcp_url}/mcp"
        ports = pair.mcp_port, pair.ws_port
        first = running.nodes()["mcp_node"]
        first.kill()
        await until(lambda: running.nodes().get("mcp_node", first) != first, within=START_SECONDS)
        await until(pair.joined, within=START_SECONDS)
        assert (pair.mcp_port, pair.ws_port) == ports
