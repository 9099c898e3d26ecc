"""What the fork server starts is as if the test had started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import forkserver
from tests.pair import Pair

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has subreapers")


def test_arguments_environment_output_and_exit_code(tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = forkserver.start(
            *("mcp_node.commands.cli", "no-such-command"),
            env={"PATH": os.environ["PATH"]},
            stdout=stdout.fileno(),
            stderr=stderr.fileno(),
        )
        assert process.wait(60) == process.returncode == 2
    assert out.read_text() == ""
    assert "no-such-command" in err.read_text()
    assert "RuntimeWarning" not in err.read_text()


async def test_a_node_is_a_child_of_the_test_and_ends_by_a_signal(tmp_path: Path) -> None:
    async with Pair(tmp_path, start=("mcp",)) as pair:
        process = pair.mcp.process
        assert process is not None and process.poll() is None
        assert psutil.Process(process.pid).ppid() == os.getpid()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.kill()
        assert process.wait(20) == -signal.SIGKILL
        process.terminate()  # nothing happens to one that has ended
