"""The database connections, and `run_job`, which runs a whole job in one thread hop.

aiosqlite gives each connection a thread and sends it one statement at a time, so a batch of 500
statements would switch threads 500 times. Our `sqlite3.Connection` therefore accepts a `Job` in
place of SQL: aiosqlite's public ``execute_fetchall(sql)`` calls ``execute(sql).fetchall()`` in its
thread, which runs the whole job there. A test pins this behaviour of aiosqlite.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import aiosqlite

from mcp_node.log.sql import Engine

T = TypeVar("T")

AddFunctions = Callable[[sqlite3.Connection], None]
"""Registers the SQL functions that triggers call on a writable connection."""

BUSY_MS: Final = 5_000
"""How long a statement waits for a lock held by another program, such as a backup tool."""

_SHARED: Final = (
    f"PRAGMA busy_timeout = {BUSY_MS}",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -65536",
)
WRITER_PRAGMAS: Final = (
    *_SHARED,
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Overwrite deleted content with zeros.
    "PRAGMA secure_delete = ON",
    "PRAGMA wal_autocheckpoint = 2000",
    "PRAGMA journal_size_limit = 67108864",
    # Only macOS uses these: its fsync leaves data in the drive's cache.
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
)


class Job:
    """A function to run in a connection's thread."""

    __slots__ = ("work",)

    def __init__(self, work: "Callable[[JobConnection], object]") -> None:
        self.work = work


class Finished:
    """Stands in for the cursor of a `Job`; its only row is the result."""

    __slots__ = ("result",)

    def __init__(self, result: object) -> None:
        self.result = result

    def fetchall(self) -> list[object]:
        """One row: the result."""
        return [self.result]


class JobConnection(sqlite3.Connection):
    """A connection whose ``execute`` also takes a `Job`."""

    engine: Engine = "sqlite"

    def execute(self, sql: Any, parameters: Any = (), /) -> Any:
        """Run a statement, or a job in its place."""
        if isinstance(sql, Job):
            return Finished(sql.work(self))
        return super().execute(sql, parameters)


async def run_job(connection: aiosqlite.Connection, work: Callable[[JobConnection], T]) -> T:
    """Run ``work`` in the connection's thread and return its result.

    Cancelling does not stop work that has begun.

    Raises:
        ValueError: the connection is closed.
        Exception: raised by ``work``.
    """
    (result,) = await connection.execute_fetchall(cast(str, Job(work)))
    return cast(T, result)


async def connect_writer(path: Path, add_functions: AddFunctions) -> aiosqlite.Connection:
    """Open the only writable connection to an existing database. It also checkpoints the WAL.

    Args:
        path: the database.
        add_functions: registers the SQL functions that triggers call.

    Raises:
        sqlite3.Error: the database cannot be opened.
    """
    return await _connect(path, "rw", WRITER_PRAGMAS, add_functions)


async def connect_reader(path: Path) -> aiosqlite.Connection:
    """Open a read-only connection.

    It cannot checkpoint. Close it before the writer's, whose close then removes the WAL.

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
    add_functions: AddFunctions | None = None,
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
        if add_functions is not None:
            await run_job(connection, add_functions)
        # SQLite opens lazily: read the file now, so that an unusable one fails here.
        await connection.execute_fetchall("SELECT 1 FROM meta")
    except BaseException:
        await connection.close()
        raise
    return connection
