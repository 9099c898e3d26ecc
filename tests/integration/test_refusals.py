"""What a node refuses to start with: exit code 2, and one line that says what to change."""

import os
import socket
import sqlite3
import stat
from pathlib import Path

import pytest

from tests.clients import frame
from tests.integration.launching import refusal, refusals
from tests.integration.rooms import readiness, say
from tests.pair import Pair
from tests.waiting import until


@pytest.fixture
def unstarted(tmp_path: Path) -> Pair:
    return Pair(tmp_path, start=())


async def test_a_second_node_on_the_same_data_is_refused(pair: Pair, room: str) -> None:
    texts = refusals(pair, MCP_PORT=0, WS_PORT=0)
    for node in (pair.mcp, pair.ws):
        assert node.process is not None
        text = texts[node.module]
        assert f"another {node.module} (process {node.process.pid}) uses {pair.data_dir}" in text
        assert "PARTYLINE_DATA_DIR" in text
    async with pair.viewer(room) as viewer, pair.rest() as rest:
        said = await say(rest, room, "the first nodes are as they were")
        assert (await frame(viewer))["position"] == said
    assert await pair.joined()


def test_a_busy_port_is_refused(unstarted: Pair) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        mcp, ws = one.getsockname()[1], other.getsockname()[1]
        texts = refusals(unstarted, MCP_PORT=mcp, WS_PORT=ws)
    assert f"port {mcp} " in texts["mcp_node"] and "PARTYLINE_MCP_PORT" in texts["mcp_node"]
    assert f"port {ws} " in texts["ws_node"] and "PARTYLINE_WS_PORT" in texts["ws_node"]


def test_a_data_directory_below_a_file_is_refused(unstarted: Pair, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    data = tmp_path / "file" / "data"
    for text in refusals(unstarted, DATA_DIR=data).values():
        assert str(data) in text and "PARTYLINE_DATA_DIR" in text


def test_a_data_directory_that_cannot_be_written_is_refused(
    unstarted: Pair, tmp_path: Path
) -> None:
    data = tmp_path / "read-only"
    data.mkdir(mode=0o500)
    if os.geteuid() == 0:  # whom no mode stops: where not even root makes files
        data = Path("/proc/partyline")
    for text in refusals(unstarted, DATA_DIR=data).values():
        assert str(data) in text and "PARTYLINE_DATA_DIR" in text


@pytest.mark.sqlite
def test_a_database_of_a_newer_version_is_refused(unstarted: Pair) -> None:
    unstarted.data_dir.mkdir(mode=0o700)
    path = unstarted.data_dir / "partyline.db"
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 999")
    database.close()
    content = path.read_bytes()
    text = refusal(unstarted, "mcp_node")
    assert "version 999" in text and str(path) in text
    assert path.read_bytes() == content


def test_auth_off_for_other_machines_is_refused(unstarted: Pair) -> None:
    secret = "long enough for a token"
    more = {"AUTH": "off", "BROADCAST_TOKEN": secret}
    for text in (
        refusal(unstarted, "mcp_node", **more, MCP_HOST="0.0.0.0"),
        refusal(unstarted, "ws_node", **more, WS_HOST="0.0.0.0"),
    ):
        assert "AUTH=off" in text and "loopback" in text
        assert secret not in text
    assert not unstarted.data_dir.exists()


def test_broadcast_for_other_machines_without_its_token_is_refused(unstarted: Pair) -> None:
    assert "BROADCAST_TOKEN" in refusal(unstarted, "ws_node", WS_HOST="0.0.0.0")


async def test_nodes_that_differ_in_auth_are_not_ready(killable: Pair) -> None:
    killable.ws.kill()
    same = killable.ws.environment
    killable.ws.environment = same | {"PARTYLINE_AUTH": "off"}
    try:
        killable.ws.spawn()

        async def unready() -> bool:
            code, words = await readiness(killable.ws_url)
            return code == 503 and words["status"] == "misconfigured" and "AUTH" in words["log"]

        await until(unready)
    finally:
        killable.ws.kill()
        killable.ws.environment = same


@pytest.mark.sqlite
def test_what_a_pair_leaves_on_disk_is_its_owners_alone(pair: Pair) -> None:
    assert stat.S_IMODE(pair.data_dir.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in pair.data_dir.iterdir()}
    assert {"partyline.db", "signing.key", "signing.pub", "bridge.key", "bridge.sock"} <= set(modes)
    assert set(modes.values()) == {0o600}, modes
