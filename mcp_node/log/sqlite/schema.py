"""Prepares the database file: creates and migrates it, and determines the epoch of its log.

All of this runs on a temporary plain connection before the node's own connections are opened, so
an unusable file leaves no aiosqlite thread behind.
"""

import os
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from mcp_node.log.epoch import settle_epoch
from mcp_node.log.interface import KEPT_STARTS, Log, Start
from mcp_node.log.mark import Mark
from mcp_node.log.migrations import Schema
from mcp_node.log.sqlite.connection import JobConnection
from proto.errors import ConfigurationError

DATABASE: Final = "partyline.db"
"""Name of the file in the data directory."""

LOCK_SECONDS: Final = 2.0
"""How long opening waits for a lock held by another program."""


def prepare(path: Path, schema: Schema, mark: Mark | None) -> Log:
    """Create or migrate the database, and identify its log.

    If the log's last id is below the mark of the same epoch, the file was replaced by an older
    copy. Ids that viewers have seen will be assigned again, so the log gets a new epoch.

    Args:
        path: the database file; created with mode 0600 if it is missing.
        schema: its migrations.
        mark: the mark stored beside it, if any.

    Raises:
        ConfigurationError: the file cannot be opened or written, is not a Partyline database,
            or has a newer schema version.
    """
    try:
        with closing(open_migrated(path, schema)) as connection:
            return _identify(connection, mark)
    except sqlite3.Error as error:
        raise ConfigurationError(explain(path, error)) from None


def open_migrated(path: Path, schema: Schema) -> JobConnection:
    """A writable connection to the database, created or migrated. The caller must close it.

    Args:
        path: the database file; created with mode 0600 if it is missing.
        schema: its migrations.

    Raises:
        ConfigurationError: the file is not a Partyline database, or has a newer schema version.
        sqlite3.Error: it cannot be used; see `explain`.
    """
    _make_private(path)
    connection = sqlite3.connect(
        path, timeout=LOCK_SECONDS, isolation_level=None, factory=JobConnection
    )
    try:
        schema.add_functions(connection)
        _migrate(connection, path, schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_private(path: Path) -> None:
    """Ensure that the file exists, is a regular file, and has mode 0600."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigurationError(f"database {path} is not a regular file; move it away")
            if stat.S_IMODE(mode) != 0o600:
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigurationError(
            f"database {path} cannot be opened: {error.strerror}; correct it, "
            "or set PARTYLINE_DATA_DIR to another directory"
        ) from None


def _migrate(connection: JobConnection, path: Path, schema: Schema) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(schema.versions):
        raise ConfigurationError(
            f"database {path} has schema version {version}; this Partyline supports versions up to"
            f" {len(schema.versions)}; install a newer Partyline, or set PARTYLINE_DATA_DIR to"
            " another directory"
        )
    if version == 0 and connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        raise ConfigurationError(
            f"database {path} belongs to another program; move it away, "
            "or set PARTYLINE_DATA_DIR to another directory"
        )
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise ConfigurationError(
            f"database {path}: its file system has no shared memory for SQLite's WAL; "
            "set PARTYLINE_DATA_DIR to a directory on a local disk"
        )
    connection.execute("PRAGMA synchronous = FULL")
    # All steps and the new version are one transaction: a crash in between leaves the old schema,
    # and the next start migrates from there.
    connection.execute("BEGIN IMMEDIATE")
    run_steps(connection, schema, version)
    connection.execute(f"PRAGMA user_version = {len(schema.versions)}")
    connection.execute("COMMIT")


def run_steps(connection: JobConnection, schema: Schema, version: int = 0) -> None:
    """Run the steps of all versions after ``version``, in the caller's transaction if any."""
    for steps in schema.versions[version:]:
        for step in steps:
            if isinstance(step, str):
                connection.execute(step)
            else:
                step(connection)


def _identify(connection: JobConnection, mark: Mark | None) -> Log:
    epoch, head = settle_epoch(connection, mark)
    connection.execute("INSERT INTO starts VALUES (?, ?)", (time.time(), head))
    connection.execute(
        "DELETE FROM starts WHERE rowid <= (SELECT max(rowid) FROM starts) - ?", (KEPT_STARTS,)
    )
    rows = connection.execute("SELECT at, head FROM starts ORDER BY rowid").fetchall()
    return Log(epoch, head, [Start(*row) for row in rows])


def explain(path: Path, error: sqlite3.Error) -> str:
    """What is wrong with the database, and what to do."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"database {path} is damaged or not a database; move it away or restore a backup"
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"database {path} is in use by another program; stop that program first"
    if primary == sqlite3.SQLITE_FULL:
        return f"database {path}: the disk is full; free some space"
    name = getattr(error, "sqlite_errorname", "an unknown error")
    return (
        f"database {path} cannot be opened ({name}); check the disk and the file's owner, "
        "or set PARTYLINE_DATA_DIR to another directory"
    )
