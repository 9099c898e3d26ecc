"""A disk whose fsync fails at COMMIT: made real by a library preloaded into a process."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mcp_node.making import everything, opened

pytestmark = pytest.mark.sqlite

LIBRARY = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int sync_or_fail(const char *name, int fd) {
    if (access(getenv("FSYNC_FAILS"), F_OK) == 0) { errno = EIO; return -1; }
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    return real(fd);
}
int fsync(int fd) { return sync_or_fail("fsync", fd); }
int fdatasync(int fd) { return sync_or_fail("fdatasync", fd); }
"""

PROGRAM = """
import asyncio, os, pathlib
from mcp_node.storage import open_store
from proto.errors import Unavailable
from proto.settings import Settings
from tests.mcp_node import storing
from tests.mcp_node.making import new_message, new_session

async def main(path, switch):
    store = await open_store(path, Settings(data_dir=path))
    await storing.create_session(store, new_session())
    await storing.append(store, new_message(content="kept"))
    switch.touch()
    try:
        await storing.append(store, new_message(content="refused" * 10_000))
    except Unavailable:
        os._exit(42)  # at once, as by a power cut: nothing is closed or checkpointed

asyncio.run(main(pathlib.Path(os.environ["DATA"]), pathlib.Path(os.environ["FSYNC_FAILS"])))
"""


@pytest.fixture
def failing_disk(tmp_path: Path) -> dict[str, str]:
    """The environment in which fsync fails as soon as the file FSYNC_FAILS exists."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    (tmp_path / "fsync.c").write_text(LIBRARY)
    command = [compiler, "-shared", "-fPIC", "-o", "fsync.so", "fsync.c", "-ldl"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    return {
        "LD_PRELOAD": str(tmp_path / "fsync.so"),
        "FSYNC_FAILS": str(tmp_path / "fails"),
        "DATA": str(tmp_path),
    }


async def test_what_was_refused_does_not_come_back_after_a_crash(failing_disk, tmp_path: Path):
    done = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", PROGRAM], env=failing_disk, timeout=60, capture_output=True
    )
    assert done.returncode == 42, done.stderr
    async with opened(tmp_path) as store:
        assert await everything(store) == [1]
