"""Whole runs of pytest that fail: none leaves a process, and no test pays for another's failure."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = [
    f"--config-file={ROOT / 'pyproject.toml'}",
    *("-q", "-p", "tests.conftest", "-p", "no:randomly", "-p", "no:cacheprovider"),
]
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def run(tmp_path: Path):
    """Run pytest on a file as this project does; what it printed, and its exit code."""

    def ran(source: str, *arguments: str) -> tuple[int, str]:
        (tmp_path / "test_inner.py").write_text(source, "utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", *OPTIONS, f"--rootdir={tmp_path}"),
                *(*arguments, str(tmp_path / "test_inner.py")),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=50,
        )
        return done.returncode, done.stdout

    return ran


def assert_gone(number: Path) -> None:
    try:
        process = psutil.Process(int(number.read_text("utf-8")))
    except psutil.NoSuchProcess:
        return
    assert process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("workers", [0, 2])
def test_a_process_left_running_fails_the_run_and_is_killed(run, tmp_path: Path, workers: int):
    code, said = run(
        f"""
import pathlib, subprocess

def test_leaves_one():
    process = subprocess.Popen({SLEEP})
    pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(process.pid))
    process.returncode = 0  # it does not warn
""",
        *("-n", str(workers)),
    )
    assert (code, "1 passed, 1 error" in said, "time.sleep(600)" in said) == (1, True, True), said
    assert_gone(tmp_path / "pid")


def test_an_orphan_of_a_worker_that_died_fails_the_run_and_is_killed(run, tmp_path: Path):
    code, said = run(
        f"""
import os, pathlib, subprocess

def test_dies():
    process = subprocess.Popen({SLEEP}, start_new_session=True)
    pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(process.pid))
    os._exit(3)
""",
        *("-n", "1", "--max-worker-restart=0"),
    )
    assert code == 1, said
    assert "processes were left running" in said
    assert_gone(tmp_path / "pid")


def test_what_a_failed_test_did_not_close_fails_no_other(run):
    code, said = run(
        f"""
import gc, socket, subprocess
import pytest

@pytest.fixture
def broken():
    opened = socket.socket()
    assert not opened

def test_a_fixture_fails(broken): ...

def test_it_fails():
    opened = socket.socket()
    process = subprocess.Popen({SLEEP})
    process.kill()
    assert not opened

def test_it_pays_for_none():
    gc.collect()
""",
        *("-n", "0"),
    )
    assert (code, "1 failed, 1 passed, 1 error" in said) == (1, True), said
