"""What the store relies on in aiosqlite, and how its two connections are set."""

import sqlite3
import threading
from functools import partial
from pathlib import Path

import aiosqlite
import pytest

from mcp_node.log.sqlite.connection import JobConnection, connect_reader, connect_writer, run_job
from mcp_node.log.sqlite.schema import prepare
from mcp_node.storage import SCHEMA

pytestmark = pytest.mark.sqlite


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "partyline.db"
    prepare(path, SCHEMA, None)
    return path


async def test_a_job_runs_once_in_the_thread_of_the_connection():
    """Pins aiosqlite: execute_fetchall hands its first argument to ``execute`` unchanged."""
    ran: list[tuple[int, sqlite3.Connection]] = []

    def job(connection: sqlite3.Connection) -> str:
        ran.append((threading.get_ident(), connection))
        return "done"

    async with aiosqlite.connect(":memory:", factory=JobConnection) as connection:
        assert await run_job(connection, job) == "done"

    ((thread, inner),) = ran
    assert thread != threading.get_ident()
    assert isinstance(inner, JobConnection)


async def test_a_whole_job_runs_before_the_next_statement():
    def job(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE t (x)")
        for x in range(100):
            connection.execute("INSERT INTO t VALUES (?)", (x,))

    async with aiosqlite.connect(
        ":memory:", factory=JobConnection, isolation_level=None
    ) as connection:
        await run_job(connection, job)
        assert await connection.execute_fetchall("SELECT count(*) FROM t") == [(100,)]


async def test_an_error_in_a_job_reaches_its_caller_and_leaves_the_connection_usable():
    def job(connection: sqlite3.Connection) -> None:
        raise LookupError("inside")

    async with aiosqlite.connect(":memory:", factory=JobConnection) as connection:
        with pytest.raises(LookupError, match="inside"):
            await run_job(connection, job)
        assert await connection.execute_fetchall("SELECT 1") == [(1,)]


async def test_the_writer_is_durable_and_the_reader_cannot_write(database: Path):
    writer = await connect_writer(database, SCHEMA.add_functions)
    reader = await connect_reader(database)
    try:
        for pragma, value in {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "busy_timeout": 5000,
            "temp_store": 2,
            "cache_size": -65536,
            "wal_autocheckpoint": 2000,
            "journal_size_limit": 64 * 1024 * 1024,
        }.items():
            assert await writer.execute_fetchall(f"PRAGMA {pragma}") == [(value,)], pragma
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader.execute_fetchall("DELETE FROM meta")
    finally:
        await reader.close()
        await writer.close()


@pytest.mark.parametrize(
    "connect",
    [partial(connect_writer, add_functions=SCHEMA.add_functions), connect_reader],
    ids=["writer", "reader"],
)
async def test_a_failed_connection_leaves_no_thread_behind(tmp_path: Path, connect):
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"not a database at all" * 100)
    before = set(threading.enumerate())
    with pytest.raises(sqlite3.DatabaseError):
        await connect(garbage)
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=30)
        assert not thread.is_alive()
