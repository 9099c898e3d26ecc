"""The lock file: one holder, across processes, however it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proto.errors import ConfigurationError
from serving.process.lockfile import LockFile

HOLD = """
import sys
from pathlib import Path
from serving.process.lockfile import LockFile
with LockFile(Path(sys.argv[1]), "mcp_node"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "mcp.lock"
    with LockFile(path, "mcp_node"):
        with pytest.raises(ConfigurationError) as refusal:
            LockFile(path, "mcp_node").acquire()
        text = str(refusal.value)
        assert str(os.getpid()) in text
        assert "mcp_node" in text and "PARTYLINE_DATA_DIR" in text
    LockFile(path, "mcp_node").acquire().release()


def test_release_is_idempotent_and_the_file_stays(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "a.lock", "node").acquire()
    lock.release()
    lock.release()
    assert (tmp_path / "a.lock").stat().st_mode & 0o777 == 0o600


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "mcp.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigurationError, match=str(holder.pid)):
            LockFile(path, "mcp_node").acquire()
        holder.kill()
        holder.wait()
    with LockFile(path, "mcp_node"):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        LockFile(tmp_path / "a.lock", "node").acquire()
    assert not (tmp_path / "victim").exists()


def test_what_another_wrote_into_it_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with LockFile(path, "node"):
        path.write_bytes(b"\xff\x1b[31m" + b"x" * 100)
        with pytest.raises(ConfigurationError) as refusal:
            LockFile(path, "node").acquire()
        assert "x" * 30 not in str(refusal.value)
