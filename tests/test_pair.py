"""The pair that other tests use: what it leaves when it cannot start."""

from pathlib import Path

import psutil
import pytest

from tests.pair import Pair


def processes_of(pair: Pair) -> list[psutil.Process]:
    mine = str(pair.data_dir)
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE
        and child.environ().get("PARTYLINE_DATA_DIR") == mine
    ]


async def test_a_pair_one_node_of_which_refuses_to_start_leaves_nothing(tmp_path: Path) -> None:
    pair = Pair(tmp_path, auth="off", ws_settings={"WS_HOST": "0.0.0.0"})
    with pytest.raises(AssertionError, match="ws_node exited"):
        async with pair:
            pytest.fail("it started")
    assert pair.mcp.process is not None and pair.ws.process is not None
    assert (pair.ws.process.returncode, pair.mcp.process.returncode) == (2, 0)
    assert processes_of(pair) == []


async def test_a_pair_that_is_not_ready_in_time_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.pair.START_SECONDS", 0.1)
    pair = Pair(tmp_path)
    with pytest.raises(TimeoutError):
        async with pair:
            pytest.fail("it was ready within 0.1 s")
    assert processes_of(pair) == []
