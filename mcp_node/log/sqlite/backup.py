"""Backup and restore of the log. A backup can be made while the node runs.

A backup is one SQLite file, a snapshot of one moment. A restored log gets a new epoch: ids beyond
its end, which viewers may have seen, will be assigned again, so their positions become invalid.
"""

import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from mcp_node.log.epoch import change_epoch
from mcp_node.log.migrations import Schema
from mcp_node.log.sqlite.connection import JobConnection
from mcp_node.log.sqlite.schema import DATABASE, prepare
from proto.errors import ConfigurationError


class Copy(NamedTuple):
    """A backup: the id of its last message, and its size in bytes."""

    head: int
    size: int


def back_up(data_dir: Path, target: Path, schema: Schema) -> Copy:
    """Write a backup of the log. The node may be running and writing.

    Args:
        data_dir: the data directory.
        target: a file that does not exist yet; it is created atomically, with mode 0600.
        schema: the schema of the log.

    Raises:
        ConfigurationError: there is no log, the target exists, or a file cannot be read or
            written.
    """
    source = data_dir / DATABASE
    if not source.is_file():
        raise ConfigurationError(f"there is no log in {data_dir}; set PARTYLINE_DATA_DIR")
    if target.exists():
        raise ConfigurationError(f"{target} already exists; choose another file")
    with _temporary(target) as temporary:
        try:
            with (
                closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as log,
                closing(sqlite3.connect(temporary)) as copied,
            ):
                # In one step: SQLite restarts a backup in steps whenever the source is written.
                log.backup(copied, pages=-1)
                copied.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            raise ConfigurationError(f"the log cannot be copied: {_kind(error)}") from None
        os.chmod(temporary, 0o600)
        _sync(temporary)
        copy = _inspect(temporary, schema)
        try:
            os.link(temporary, target)
        except OSError as error:
            raise ConfigurationError(f"{target} cannot be created: {error.strerror}") from None
    _sync(target.parent)
    return copy


def restore(data_dir: Path, source: Path, schema: Schema) -> Copy:
    """Replace the log with a backup, under a new epoch. The caller holds the node's lock.

    The previous log is kept as ``partyline.db.before-restore``.

    Raises:
        ConfigurationError: the file is not a backup, is damaged, or cannot be read or copied.
    """
    current = data_dir / DATABASE
    with _temporary(current) as temporary:
        try:
            shutil.copyfile(source, temporary)
        except OSError as error:
            raise ConfigurationError(f"{source} cannot be read: {error.strerror}") from None
        os.chmod(temporary, 0o600)
        _inspect(temporary, schema)
        prepare(temporary, schema, None)  # migrates a backup of an older version
        with closing(
            sqlite3.connect(temporary, isolation_level=None, factory=JobConnection)
        ) as connection:
            change_epoch(connection, secrets.token_hex(16))
            connection.execute("PRAGMA journal_mode = DELETE")
        copy = _inspect(temporary, schema)
        _sync(temporary)
        _set_aside(current)
        os.replace(temporary, current)
    _sync(data_dir)
    return copy


def _set_aside(current: Path) -> None:
    """Checkpoint the current log into one file, and rename it to ``….before-restore``."""
    if not current.exists():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(current)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(f"{current}{suffix}", f"{current}.before-restore{suffix}")
    os.replace(current, f"{current}.before-restore")


def _inspect(path: Path, schema: Schema) -> Copy:
    """Check that a file is an undamaged Partyline log of a supported version."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if not 0 < version <= len(schema.versions):
                raise ConfigurationError(
                    "the file is not a Partyline backup of this version or an older one"
                )
            (sound,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if sound != "ok":
                raise ConfigurationError("the file is damaged")
            (head,) = connection.execute("SELECT ifnull(max(id), 0) FROM messages").fetchone()
    except sqlite3.Error as error:
        raise ConfigurationError(f"the file is not a Partyline backup: {_kind(error)}") from None
    return Copy(head, path.stat().st_size)


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A path beside the target. What is left there at the end is deleted."""
    try:
        directory = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise ConfigurationError(f"{target.parent} cannot be written: {error.strerror}") from None
    try:
        yield directory / target.name
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _kind(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", "unknown error")
