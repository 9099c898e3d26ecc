"""Copies of the log: made while the node runs, put back while it does not.

A backup is one SQLite file, complete as of one moment. A restored log gets a new epoch: ids that
viewers have seen beyond its end will be given out again, so their positions are worth nothing.
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

from mcp_node.log.migrations import Schema
from mcp_node.log.sqlite.schema import DATABASE, prepare, rename
from proto.errors import ConfigurationError


class Copy(NamedTuple):
    """What a backup holds: the id of the last message, and how many bytes it takes."""

    head: int
    size: int


def back_up(data_dir: Path, target: Path, schema: Schema) -> Copy:
    """Write a backup of the log; the node may be running and writing meanwhile.

    Args:
        data_dir: of the deployment.
        target: a file that does not exist yet; it appears complete, with mode 0600.
        schema: of the log.

    Raises:
        ConfigurationError: there is no log, the target exists, or one of them cannot be used.
    """
    source = data_dir / DATABASE
    if not source.is_file():
        raise ConfigurationError(f"there is no log in {data_dir}; set PARTYLINE_DATA_DIR")
    if target.exists():
        raise ConfigurationError(f"{target} exists already; name another file")
    with _temporary(target) as temporary:
        try:
            with (
                closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as log,
                closing(sqlite3.connect(temporary)) as copied,
            ):
                log.backup(copied, pages=-1)  # in one step: a stepwise one starts over on writes
                copied.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            raise ConfigurationError(f"the log cannot be copied: {_kind(error)}") from None
        os.chmod(temporary, 0o600)
        _sync(temporary)
        copy = _examined(temporary, schema)
        try:
            os.link(temporary, target)
        except OSError as error:
            raise ConfigurationError(f"{target} cannot be made: {error.strerror}") from None
    _sync(target.parent)
    return copy


def restore(data_dir: Path, source: Path, schema: Schema) -> Copy:
    """Put a backup in the log's place, with a new epoch. The caller holds the node's lock.

    The log that was there is kept beside it as ``partyline.db.before-restore``.

    Raises:
        ConfigurationError: the backup is not one, is damaged, or cannot be read or copied.
    """
    current = data_dir / DATABASE
    with _temporary(current) as temporary:
        try:
            shutil.copyfile(source, temporary)
        except OSError as error:
            raise ConfigurationError(f"{source} cannot be read: {error.strerror}") from None
        os.chmod(temporary, 0o600)
        _examined(temporary, schema)
        prepare(temporary, schema, None)  # an older version is brought up to date
        with closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
            rename(connection, secrets.token_hex(16))
            connection.execute("PRAGMA journal_mode = DELETE")
        copy = _examined(temporary, schema)
        _sync(temporary)
        _set_aside(current)
        os.replace(temporary, current)
    _sync(data_dir)
    return copy


def _set_aside(current: Path) -> None:
    """Fold the old log into one file and move it away."""
    if not current.exists():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(current)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(f"{current}{suffix}", f"{current}.before-restore{suffix}")
    os.replace(current, f"{current}.before-restore")


def _examined(path: Path, schema: Schema) -> Copy:
    """What a file holds, if it is a sound Partyline log of a version we know."""
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
    """A name beside the target for a file that is gone afterwards, whatever happens."""
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
