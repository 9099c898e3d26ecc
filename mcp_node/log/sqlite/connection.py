"""The connections of a store, and a way to run a whole job in one thread hop.

aiosqlite gives each connection a thread and sends it one statement at a time. A batch of 500
statements would hop 500 times, so our `sqlite3.Connection` takes a `Job` where SQL is expected:
aiosqlite's public ``execute_fetchall(sql)`` calls ``execute(sql).fetchall()`` in the thread, and
that runs the whole job there. A test pins this behaviour of aiosqlite.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import aiosqlite

from mcp_node.log.sql import Engine

T = TypeVar("T")

Equip = Callable[[sqlite3.Connection], None]
"""Gives a writable connection what a feature's triggers need."""

BUSY_MS: Final = 5_000
"""How long a statement waits for somebody else's lock, such as a backup tool's."""

_SHARED: Final = (
    f"PRAGMA busy_timeout = {BUSY_MS}",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -65536",
)
_WRITER: Final = (
    *_SHARED,
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # What is deleted is overwritten, not only unlinked.
    "PRAGMA secure_delete = ON",
    "PRAGMA wal_autocheckpoint = 2000",
    "PRAGMA journal_size_limit = 67108864",
    # macOS alone heeds these: its fsync leaves data in the drive's cache.
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
)


class Job:
    """Work for a connection's thread."""

    __slots__ = ("work",)

    def __init__(self, work: "Callable[[JobConnection], object]") -> None:
        self.work = work


class Finished:
    """What a job's cursor would be: one row, its result."""

    __slots__ = ("result",)

    def __init__(self, result: object) -> None:
        self.result = result

    def fetchall(self) -> list[object]:
        """The result, as the only row."""
        return [self.result]


class JobConnection(sqlite3.Connection):
    """`mcp_node.log.sql.Connection`, whose ``execute`` also takes a `Job`."""

    engine: Engine = "sqlite"

    def execute(self, sql: Any, parameters: Any = (), /) -> Any:
        """Run a statement, or a job in its place."""
        if isinstance(sql, Job):
            return Finished(sql.work(self))
        return super().execute(sql, parameters)


async def run_job(connection: aiosqlite.Connection, work: Callable[[JobConnection], T]) -> T:
    """Run ``work`` in the connection's thread and give its result.

    A cancelled caller does not stop the work.

    Raises:
        ValueError: the connection is closed.
        Exception: whatever ``work`` raises.
    """
    (result,) = await connection.execute_fetchall(cast(str, Job(work)))
    return cast(T, result)


async def connect_writer(path: Path, equip: Equip) -> aiosqlite.Connection:
    """The one writable connection to an existing database; it also checkpoints the WAL.

    Args:
        path: the database.
        equip: gives the connection the SQL functions that triggers call.

    Raises:
        sqlite3.Error: the database cannot be opened.
    """
    return await _connect(path, "rw", _WRITER, equip)


async def connect_reader(path: Path) -> aiosqlite.Connection:
    """A read-only connection; it cannot checkpoint. Close it before the writer's.

    Raises:
        sqlite3.Error: the database cannot be opened.
    """
    return await _connect(path, "ro", _SHARED)


def _uri(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


async def _connect(
    path: Path,
    mode: str,
    pragmas: tuple[str, ...],
    equip: Equip | None = None,
) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(
        _uri(path, mode),
        uri=True,
        isolation_level=None,
        factory=JobConnection,
    )
    try:
        for pragma in pragmas:
            await connection.execute_fetchall(pragma)
        if equip is not None:
            await run_job(connection, equip)
        # SQLite opens lazily: touch the file now, so that a bad one shows here.
        await connection.execute_fetchall("SELECT 1 FROM meta")
    except BaseException:
        await connection.close()
        raise
    return connection
