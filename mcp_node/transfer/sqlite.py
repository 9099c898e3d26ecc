"""A side of a transfer in SQLite."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from mcp_node.log.epoch import settle_epoch
from mcp_node.log.mark import Mark
from mcp_node.log.migrations import Schema
from mcp_node.log.sql import Parameters
from mcp_node.log.sqlite.connection import WRITER_PRAGMAS, JobConnection
from mcp_node.log.sqlite.schema import DATABASE, LOCK_SECONDS, open_migrated
from mcp_node.transfer.catalogue import Table
from mcp_node.transfer.store import Row, Store


class SqliteStore(Store):
    """The database of a data directory. The caller holds the directory's lock file.

    Args:
        data_dir: the directory.
        schema: the tables.

    Raises:
        sqlite3.Error: the database cannot be opened.
    """

    connection: JobConnection

    def __init__(self, data_dir: Path, schema: Schema) -> None:
        self.path = data_dir / DATABASE
        self.name = str(self.path)
        self.removal = "move the file away"
        self._schema = schema
        there = self.path.exists()
        self.connection = sqlite3.connect(
            self.path if there else ":memory:",
            timeout=LOCK_SECONDS,
            isolation_level=None,
            factory=JobConnection,
        )
        if there:
            self._configure()

    @property
    def versions(self) -> tuple[int, int]:
        """See `Store.versions`."""
        return self.one("PRAGMA user_version"), len(self._schema.versions)

    def make_tables(self) -> None:
        """Make the tables, and the file, if there are none."""
        self.connection.close()
        self.connection = open_migrated(self.path, self._schema)
        self._configure()

    def settle_epoch(self, mark: Mark | None) -> str:
        """See `Store.settle_epoch`."""
        epoch, _ = settle_epoch(self.connection, mark)
        return epoch

    def stream(self, statement: str, parameters: Parameters = ()) -> Iterator[Row]:
        """The rows of a SELECT; see `Store.stream`."""
        return iter(self.connection.execute(statement, parameters))

    def insert(self, table: Table, rows: Iterable[Row]) -> None:
        """Insert rows; see `Store.insert`."""
        self.connection.executemany(table.insert, rows)

    def prepare_for_copying(self) -> None:
        """Nothing: SQLite's indexes are kept up fast enough."""

    def prepare_for_use(self) -> None:
        """Wait for the disk from now on: the next commit takes the ones before it along."""
        self.connection.execute("PRAGMA synchronous = FULL")

    def close(self) -> None:
        """Close the connection, which removes the write-ahead log. Idempotent."""
        self.connection.close()

    def _configure(self) -> None:
        self._schema.add_functions(self.connection)
        # A power cut may take the last transactions, and never leaves anything but whole ones.
        for pragma in (*WRITER_PRAGMAS, "PRAGMA synchronous = NORMAL"):
            self.connection.execute(pragma)
