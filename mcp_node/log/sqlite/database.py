"""Opening the database on SQLite."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from mcp_node.log.database import LogDatabase
from mcp_node.log.mark import MARK, read_mark
from mcp_node.log.migrations import Schema
from mcp_node.log.sqlite.commits import SqliteCommits
from mcp_node.log.sqlite.reader import SqliteReader
from mcp_node.log.sqlite.schema import DATABASE, prepare
from mcp_node.log.transaction import Companion
from mcp_node.log.writer import describe
from proto.errors import ConfigurationError
from proto.settings import Settings


async def open_database(
    data_dir: Path,
    schema: Schema,
    make_companions: Callable[[], Sequence[Companion]],
    settings: Settings,
) -> LogDatabase:
    """Open the database in a data directory, creating it if there is none.

    The caller holds the directory's lock file, and must call `LogDatabase.close`: a connection
    left open keeps the interpreter from exiting.

    Args:
        data_dir: the directory.
        schema: the tables.
        make_companions: called in a thread once the tables exist.
        settings: limits on pending writes.

    Raises:
        ConfigurationError: the database cannot be used; the text says why.
    """
    path = data_dir / DATABASE
    on_disk = read_mark(data_dir / MARK)
    log = await asyncio.to_thread(prepare, path, schema, on_disk)
    companions = await asyncio.to_thread(make_companions)
    commits = SqliteCommits(path, schema.add_functions, companions)
    reader, long_reader = SqliteReader(path), SqliteReader(path)
    database = LogDatabase(data_dir, log, commits, reader, long_reader, settings)
    try:
        await database.open(on_disk)
    except BaseException as error:
        await database.close()
        if isinstance(error, sqlite3.Error):
            raise ConfigurationError(
                f"database {path} cannot be opened ({describe(error)}); check the disk"
            ) from None
        raise
    return database
