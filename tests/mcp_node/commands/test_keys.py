"""``partyline keys`` as an operator runs it, on one machine and on two."""

from collections.abc import Callable
from pathlib import Path

import pytest

from serving.bus import nkeys
from serving.curve import keys as curve
from serving.curve.allow_list import AllowList
from tests.mcp_node.conftest import Command, Done

KEY = "c3" * 32


Keys = Callable[..., Done]


@pytest.fixture
def keys(partyline: Command) -> Keys:
    """Run ``partyline keys`` on a data directory."""

    def run(data_dir: Path, *arguments: str) -> Done:
        return partyline("keys", *arguments, PARTYLINE_DATA_DIR=str(data_dir))

    return run


def shown(keys: Keys, data_dir: Path) -> list[str]:
    done = keys(data_dir)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_keys_shows_who_the_nodes_are_and_whom_they_trust(keys: Keys, data_dir: Path) -> None:
    lines = shown(keys, data_dir)
    client, server = curve.client_keys(data_dir), curve.server_keys(data_dir)
    assert lines == [
        f"mcp_node is        {client.public}",
        f"mcp_node sends to  {server.public} (the ws_node here)",
        f"ws_node is         {server.public}",
        f"ws_node accepts    {client.public} (the mcp_node here)",
    ]
    for pair in (client, server):
        assert pair.secret.hex() not in "\n".join(lines)
    assert {file.stat().st_mode & 0o777 for file in data_dir.iterdir()} == {0o600}


def test_the_keys_for_nats_are_made_once_and_only_their_public_halves_are_shown(
    keys: Keys, data_dir: Path
) -> None:
    first, again = keys(data_dir, "--nats"), keys(data_dir, "--nats")
    assert first.returncode == 0, first.stderr
    made = {node: nkeys.public_key(nkeys.own_key(data_dir, node)) for node in nkeys.FILES}
    assert first.stdout == again.stdout
    assert first.stdout.splitlines() == [
        f"MCP_NODE_NKEY={made['mcp_node']}",
        f"WS_NODE_NKEY={made['ws_node']}",
    ]
    assert {file.name: file.stat().st_mode & 0o777 for file in data_dir.iterdir()} == {
        "nats-mcp.key": 0o600,
        "nats-ws.key": 0o600,
    }


def test_exchanged_keys_let_two_machines_trust_each_other(keys: Keys, tmp_path: Path) -> None:
    """The recipe of docs/operations.md."""
    agents, viewers = tmp_path / "agents", tmp_path / "viewers"
    client = shown(keys, agents)[0].split()[-1]
    server = shown(keys, viewers)[2].split()[-1]
    assert keys(viewers, "--allow", client).returncode == 0
    assert keys(agents, "--server", server).returncode == 0
    assert f"mcp_node sends to  {server}" in shown(keys, agents)
    assert f"ws_node accepts    {client}" in shown(keys, viewers)


def test_a_key_can_be_taken_off_again(keys: Keys, data_dir: Path) -> None:
    assert keys(data_dir, "--allow", KEY).returncode == 0
    assert KEY in AllowList(data_dir)
    assert keys(data_dir, "--remove", KEY).returncode == 0
    assert KEY not in AllowList(data_dir)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--allow", "hunter2"), "64 hex digits"),
        (("--server", "hunter2"), "64 hex digits"),
        (("--remove", KEY), "not in the allow-list"),
        (("--allow", KEY, "--remove", KEY), "not allowed with"),
    ],
)
def test_a_wrong_request_is_explained_and_exits_2(
    keys: Keys, data_dir: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    done = keys(data_dir, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr
