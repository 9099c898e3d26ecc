"""Opening: what is made, what is refused, and which log it turns out to be."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from mcp_node.log.mark import Mark, read_mark, write_mark
from mcp_node.storage import SCHEMA, open_store
from proto.errors import ConfigurationError
from proto.settings import Settings
from tests.mcp_node import storing
from tests.mcp_node.making import everything, new_message, new_session, opened

pytestmark = pytest.mark.sqlite


async def refused(data_dir: Path) -> str:
    """What the operator reads; no thread is left that would keep the interpreter from exiting."""
    before = threading.active_count()
    with pytest.raises(ConfigurationError) as refusal:
        await open_store(data_dir, Settings(data_dir=data_dir))
    assert [t for t in threading.enumerate() if "_connection_worker" in t.name] == []
    assert threading.active_count() <= before + 1  # the executor's
    return str(refusal.value)


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(4096 * 3))


async def test_a_new_log_is_empty_private_and_has_a_random_epoch(tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with opened(tmp_path / "one") as one, opened(tmp_path / "two") as two:
        assert one.starts[-1].head == 0
        assert len(one.epoch) == 32
        assert int(one.epoch, 16)
        assert one.epoch != two.epoch
        for file in (tmp_path / "one").glob("partyline.db*"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


async def test_a_database_open_to_others_is_closed_to_them(tmp_path: Path):
    async with opened(tmp_path):
        pass
    (tmp_path / "partyline.db").chmod(0o644)
    async with opened(tmp_path):
        assert stat.S_IMODE((tmp_path / "partyline.db").stat().st_mode) == 0o600


async def test_reopening_finds_the_same_log(tmp_path: Path):
    async with opened(tmp_path) as store:
        epoch = store.epoch
        await storing.create_session(store, new_session())
        for _ in range(3):
            await storing.append(store, new_message())
    async with opened(tmp_path) as store:
        assert store.epoch == epoch
        assert store.starts[-1].head == 3
        assert (await storing.append(store, new_message())).id == 4
        assert store.starts[-1].head == 3
        assert await everything(store) == [1, 2, 3, 4]


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path):
    async with opened(tmp_path):
        pass
    newer = len(SCHEMA.versions) + 1
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as connection:
        connection.execute(f"PRAGMA user_version = {newer}")
    text = await refused(tmp_path)
    assert f"version {newer}" in text
    assert "install a newer" in text
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (newer,)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    (tmp_path / "partyline.db").write_bytes(os.urandom(8192))
    assert "not a database" in await refused(tmp_path)


async def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as connection:
        connection.execute("CREATE TABLE cookies (name TEXT)")
    assert "another program" in await refused(tmp_path)
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("cookies",)]


async def test_a_damaged_database_is_refused(tmp_path: Path):
    async with opened(tmp_path):
        pass
    damage(tmp_path / "partyline.db")
    assert "damaged" in await refused(tmp_path)


@pytest.mark.parametrize("kind", ["missing", "directory", "symlink", "fifo"])
async def test_what_cannot_be_opened_as_a_file_is_refused(tmp_path: Path, kind: str):
    path = tmp_path / "partyline.db"
    if kind == "missing":
        path = tmp_path / "nowhere" / "partyline.db"
    elif kind == "directory":
        path.mkdir()
    elif kind == "symlink":
        path.symlink_to(tmp_path / "elsewhere.db")
    else:
        os.mkfifo(path)
    assert str(path) in await refused(path.parent)
    assert not (tmp_path / "elsewhere.db").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anything")
async def test_a_database_that_cannot_be_written_is_refused(tmp_path: Path):
    async with opened(tmp_path):
        pass
    (tmp_path / "partyline.db").chmod(0o400)
    assert "cannot be opened" in await refused(tmp_path)


async def test_a_locked_database_is_refused(tmp_path: Path):
    async with opened(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert "in use" in await refused(tmp_path)


def test_the_interpreter_exits_after_a_refusal(tmp_path: Path):
    (tmp_path / "partyline.db").write_bytes(os.urandom(8192))
    program = (
        "import asyncio, pathlib, sys\n"
        "from mcp_node.storage import open_store\n"
        "from proto.settings import Settings\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "asyncio.run(open_store(path, Settings(data_dir=path)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, timeout=60, text=True
    )
    assert done.returncode == 1
    assert "ConfigurationError" in done.stderr


async def test_a_restored_older_database_is_another_log(tmp_path: Path):
    database, backup = tmp_path / "partyline.db", tmp_path / "backup.db"
    async with opened(tmp_path) as store:
        first = store.epoch
        await storing.create_session(store, new_session())
        await storing.append(store, new_message())
    shutil.copy(database, backup)
    async with opened(tmp_path) as store:
        await storing.append(store, new_message())
        assert store.epoch == first
    shutil.copy(backup, database)
    async with opened(tmp_path) as store:
        second = store.epoch
        assert second != first
        assert store.starts[-1].head == 1
        assert store.epoch == second
    async with opened(tmp_path) as store:
        assert store.epoch == second


async def test_a_deleted_database_is_another_log(tmp_path: Path):
    async with opened(tmp_path) as store:
        first = store.epoch
        await storing.create_session(store, new_session())
        await storing.append(store, new_message())
    (tmp_path / "partyline.db").unlink()
    async with opened(tmp_path) as store:
        assert store.epoch != first
        assert store.starts[-1].head == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"epoch": "x"}', b'{"epoch": "x", "id": "9"}', b"null"],
)
async def test_a_garbled_mark_is_ignored_and_replaced(tmp_path: Path, content: bytes):
    async with opened(tmp_path) as store:
        epoch = store.epoch
    (tmp_path / "log.mark").write_bytes(content)
    async with opened(tmp_path) as store:
        assert store.epoch == epoch
    assert read_mark(tmp_path / "log.mark") == Mark(epoch, 0)


@pytest.mark.parametrize("mark", [None, Mark("f" * 32, 10**9)])
async def test_no_mark_or_another_logs_mark_is_ignored(tmp_path: Path, mark: Mark | None):
    async with opened(tmp_path) as store:
        epoch = store.epoch
    (tmp_path / "log.mark").unlink()
    if mark is not None:
        write_mark(tmp_path / "log.mark", mark)
    async with opened(tmp_path) as store:
        assert store.epoch == epoch
    assert read_mark(tmp_path / "log.mark") == Mark(epoch, 0)


async def test_a_mark_behind_the_head_is_no_other_log(tmp_path: Path):
    async with opened(tmp_path) as store:
        epoch = store.epoch
        await storing.create_session(store, new_session())
        await storing.append(store, new_message())
        await storing.append(store, new_message())
    write_mark(tmp_path / "log.mark", Mark(epoch, 1))
    async with opened(tmp_path) as store:
        assert store.epoch == epoch


async def test_closing_writes_the_mark(tmp_path: Path):
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        await storing.append(store, new_message())
    assert msgspec.json.decode((tmp_path / "log.mark").read_bytes()) == {
        "epoch": store.epoch,
        "id": 1,
    }
    assert stat.S_IMODE((tmp_path / "log.mark").stat().st_mode) == 0o600
    assert not (tmp_path / "log.mark.tmp").exists()
