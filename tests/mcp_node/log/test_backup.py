"""Backups: complete as of one moment, private, refused when unsound; a restored log is another."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mcp_node.log.sqlite.backup import back_up, restore
from mcp_node.log.sqlite.schema import DATABASE
from mcp_node.storage import SCHEMA
from proto.errors import ConfigurationError
from tests.mcp_node import storing
from tests.mcp_node.making import CLAUDE, new_message, new_session, opened

pytestmark = pytest.mark.sqlite


async def filled(directory: Path, count: int) -> str:
    async with opened(directory) as store:
        await storing.create_session(store, new_session())
        await asyncio.gather(*(storing.append(store, new_message()) for _ in range(count)))
        return store.epoch


async def test_a_backup_made_under_writes_is_one_moment_of_the_log(tmp_path: Path) -> None:
    target = tmp_path / "copy"
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        await asyncio.gather(*(storing.append(store, new_message()) for _ in range(500)))
        writing = asyncio.gather(*(storing.append(store, new_message()) for _ in range(2_000)))
        copy = await asyncio.to_thread(back_up, tmp_path, target, SCHEMA)
        await writing
    assert copy.head >= 500
    assert target.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(target)) as connection:
        rows = connection.execute("SELECT id, prev FROM messages ORDER BY id").fetchall()
    assert rows == [(id_, id_ - 1) for id_ in range(1, copy.head + 1)]
    assert [name for name in sorted(os.listdir(tmp_path)) if "copy" in name] == ["copy"]


async def test_a_restored_log_has_its_messages_and_another_epoch(tmp_path: Path) -> None:
    epoch = await filled(tmp_path, 10)
    back_up(tmp_path, tmp_path / "copy", SCHEMA)
    async with opened(tmp_path) as store:
        await asyncio.gather(*(storing.append(store, new_message()) for _ in range(5)))
    assert restore(tmp_path, tmp_path / "copy", SCHEMA).head == 10
    async with opened(tmp_path) as store:
        assert store.epoch != epoch
        assert await storing.session_head(store, "room") == 10
        assert (await storing.append(store, new_message())).id == 11
    with closing(sqlite3.connect(tmp_path / f"{DATABASE}.before-restore")) as connection:
        assert connection.execute("SELECT max(id) FROM messages").fetchone() == (15,)


async def test_a_log_can_be_restored_where_there_is_none(tmp_path: Path) -> None:
    (old := tmp_path / "old").mkdir(mode=0o700)
    (new := tmp_path / "new").mkdir(mode=0o700)
    await filled(old, 3)
    back_up(old, tmp_path / "copy", SCHEMA)
    restore(new, tmp_path / "copy", SCHEMA)
    async with opened(new) as store:
        page = await storing.page(store, "room", CLAUDE, after=0, before=None, limit=10)
        assert [message.id for message in page.messages] == [1, 2, 3]


async def test_backup_never_writes_over_a_file(tmp_path: Path) -> None:
    await filled(tmp_path, 1)
    (target := tmp_path / "copy").write_text("precious")
    with pytest.raises(ConfigurationError, match="already exists"):
        back_up(tmp_path, target, SCHEMA)
    assert target.read_text() == "precious"


def test_backup_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no log"):
        back_up(tmp_path, tmp_path / "copy", SCHEMA)


async def test_what_is_no_sound_backup_is_refused_and_the_log_stays(tmp_path: Path) -> None:
    epoch = await filled(tmp_path, 200)
    back_up(tmp_path, tmp_path / "copy", SCHEMA)
    whole = (tmp_path / "copy").read_bytes()
    (tmp_path / "garbage").write_bytes(b"no database" * 100)
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with closing(sqlite3.connect(tmp_path / "foreign")) as connection:
        connection.execute("CREATE TABLE t (x)")
    with closing(sqlite3.connect(tmp_path / "newer")) as connection:
        connection.deserialize(whole)
        connection.execute("PRAGMA user_version = 999")
        (tmp_path / "newer").write_bytes(connection.serialize())
    for name in ("garbage", "cut", "foreign", "newer", "missing"):
        with pytest.raises(ConfigurationError):
            restore(tmp_path, tmp_path / name, SCHEMA)
    async with opened(tmp_path) as store:
        assert store.epoch == epoch
        assert await storing.session_head(store, "room") == 200
