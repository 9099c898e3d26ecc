"""A side of a transfer in PostgreSQL."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from psycopg import sql

from mcp_node.log.epoch import known_id
from mcp_node.log.mark import Mark
from mcp_node.log.migrations import Step
from mcp_node.log.postgres.connection import PostgresConnection, connect
from mcp_node.log.postgres.identity import LOCK_LOG, hold_alone, settle
from mcp_node.log.postgres.schema import lock_number, migrate, stored_version
from mcp_node.log.postgres.statements import translated
from mcp_node.log.sql import Parameters
from mcp_node.transfer.catalogue import Table, listed
from mcp_node.transfer.store import Row, Store
from proto.errors import ConfigurationError

FETCHED_ROWS: Final = 100
"""Rows that are fetched at a time: they may be a megabyte each."""

_INDEXES: Final = """
    SELECT c.relname, pg_get_indexdef(c.oid)
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE NOT i.indisunique AND c.relnamespace = CAST(current_schema() AS regnamespace)
"""
_DEFERRED: Final = "deferred_indexes"
"""The row of ``meta`` with the definitions of the indexes that are created after copying."""

_COLUMNS: Final = """
    SELECT table_name, column_name, is_identity FROM information_schema.columns
    WHERE table_schema = current_schema()
"""


class PostgresStore(Store):
    """The tables in a schema. No node can use them until `close`.

    Args:
        address: a ``postgresql://`` URL.
        schema: that holds the tables.
        versions: the steps of each schema version.

    Raises:
        ConfigurationError: an mcp_node uses them.
        psycopg.Error: the server cannot be reached, or refuses.
    """

    connection: PostgresConnection

    def __init__(self, address: str, schema: str, versions: Sequence[Sequence[Step]]) -> None:
        self.name = f"the schema {schema} of PostgreSQL"
        self.removal = f"DROP SCHEMA {schema} CASCADE"
        self._schema = schema
        self._steps = versions
        self.connection = connect(
            address,
            schema,
            synchronous_commit="off",
            maintenance_work_mem="256MB",  # for the index of search
            statement_timeout="0",
            idle_in_transaction_session_timeout="0",
        )
        if not hold_alone(self.connection, lock_number(schema)):
            self.close()
            raise ConfigurationError(f"an mcp_node uses {self.name}; stop every one of them first")

    @property
    def versions(self) -> tuple[int, int]:
        """See `Store.versions`."""
        return stored_version(self.connection), len(self._steps)

    def make_tables(self) -> None:
        """Make the schema and the tables if there are none."""
        with self.transaction():
            migrate(self.connection, self._schema, self._steps)

    def settle_epoch(self, mark: Mark | None) -> str:
        """See `Store.settle_epoch`."""
        self.connection.execute(LOCK_LOG, (lock_number(self._schema),))
        return settle(self.connection, known_id(self.connection, mark)).epoch

    def columns(self, table: Table) -> Table:
        """With the column that stands for SQLite's row number, if there is one."""
        named = {(table_name, column) for table_name, column, _ in self._columns()}
        return table.with_rowid if (table.name, "rowid") in named else table

    def stream(self, statement: str, parameters: Parameters = ()) -> Iterator[Row]:
        """The rows of a SELECT, through a cursor of the server."""
        with self.transaction(), self.connection.raw.cursor("transfer") as cursor:
            cursor.itersize = FETCHED_ROWS
            yield from cursor.execute(translated(statement), parameters)

    def insert(self, table: Table, rows: Iterable[Row]) -> None:
        """Insert rows with COPY, which also takes values of identity columns."""
        into = f"COPY {table.name} ({listed(table.columns)}) FROM STDIN"
        with self.connection.raw.cursor() as cursor, cursor.copy(into) as copy:
            for row in rows:
                copy.write_row(row)

    def prepare_for_copying(self) -> None:
        """Drop the indexes, which are created several times faster than they are kept up."""
        indexes = dict(self.connection.execute(_INDEXES))
        for name in indexes:
            self.connection.raw.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        definitions = msgspec.json.encode(list(indexes.values())).decode()
        self.connection.execute("INSERT INTO meta VALUES (?, ?)", (_DEFERRED, definitions))

    def prepare_for_use(self) -> None:
        """Create the indexes, number new rows after those copied, gather statistics."""
        self._create_indexes()
        raw = self.connection.raw
        for table, column, identity in self._columns():
            if identity == "YES":
                raw.execute(
                    sql.SQL(
                        "SELECT setval(pg_get_serial_sequence({}, {}),"
                        " (SELECT coalesce(max({}), 0) + 1 FROM {}), false)"
                    ).format(table, column, sql.Identifier(column), sql.Identifier(table))
                )
        for table in sorted({table for table, _, _ in self._columns()}):
            raw.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))
        raw.execute("SET synchronous_commit TO on")

    def close(self) -> None:
        """Close the connection, and with it release the lock. Idempotent."""
        self.connection.raw.close()

    def _create_indexes(self) -> None:
        with self.transaction():
            found = self.connection.execute(
                "DELETE FROM meta WHERE name = ? RETURNING value", (_DEFERRED,)
            ).fetchone()
            if found is not None:
                for definition in msgspec.json.decode(found[0], type=list[str]):
                    self.connection.raw.execute(definition.encode())

    def _columns(self) -> list[tuple[str, str, str]]:
        return self.connection.execute(_COLUMNS).fetchall()
