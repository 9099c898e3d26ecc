"""The tables that a transfer copies, taken from the schema itself.

A table or column that a later version adds is therefore copied as well. Left out are ``meta``,
which says what the store is, and the tables of the search index, which the target builds anew.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from graphlib import TopologicalSorter
from typing import Final, NamedTuple

from mcp_node.log.migrations import Schema
from mcp_node.log.sqlite.connection import JobConnection
from mcp_node.log.sqlite.schema import run_steps

_TABLES: Final = """
    SELECT name FROM pragma_table_list
    WHERE schema = 'main' AND type = 'table' AND name <> 'meta'
        AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'search\\_%' ESCAPE '\\'
    ORDER BY name
"""
_COLUMNS: Final = "SELECT name, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid"
_REFERS_TO: Final = 'SELECT DISTINCT "table" FROM pragma_foreign_key_list(?)'


class Table(NamedTuple):
    """A table.

    Attributes:
        name: of the table.
        columns: those that are stored, in order.
        key: the columns in whose order rows are copied: the primary key, or all columns.
        generated: the columns that the database computes from others.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    generated: tuple[str, ...] = ()

    @property
    def with_rowid(self) -> "Table":
        """The table with SQLite's implicit row number as a column."""
        return self._replace(columns=("rowid", *self.columns))

    @property
    def insert(self) -> str:
        """The INSERT of one row of `columns`."""
        marks = ", ".join("?" * len(self.columns))
        return f"INSERT INTO {self.name} ({listed(self.columns)}) VALUES ({marks})"

    @property
    def in_order(self) -> str:
        """The SELECT of all rows of `columns`, in the order of the key."""
        return f"{self._select} ORDER BY {listed(self.key)}"

    @property
    def after(self) -> str:
        """Like `in_order`, of the rows after a key, whose values are the parameters."""
        marks = ", ".join("?" * len(self.key))
        return f"{self._select} WHERE ({listed(self.key)}) > ({marks}) ORDER BY {listed(self.key)}"

    @property
    def last_key(self) -> str:
        """The SELECT of the last key."""
        descending = ", ".join(f'"{column}" DESC' for column in self.key)
        return f"SELECT {listed(self.key)} FROM {self.name} ORDER BY {descending} LIMIT 1"

    @property
    def _select(self) -> str:
        return f"SELECT {listed(self.columns)} FROM {self.name}"


def listed(columns: Iterable[str]) -> str:
    """Columns as SQL has them; some have the names of SQL's words."""
    return ", ".join(f'"{column}"' for column in columns)


def catalogue(schema: Schema) -> list[Table]:
    """The tables to copy; each comes after those that it refers to."""
    with closing(
        sqlite3.connect(":memory:", isolation_level=None, factory=JobConnection)
    ) as connection:
        schema.add_functions(connection)
        run_steps(connection, schema)
        tables = [_table(connection, name) for (name,) in connection.execute(_TABLES).fetchall()]
        needed = {
            table.name: [name for (name,) in connection.execute(_REFERS_TO, (table.name,))]
            for table in tables
        }
    for name, others in needed.items():
        needed[name] = [other for other in others if other != name]
    by_name = {table.name: table for table in tables}
    return [by_name[name] for name in TopologicalSorter(needed).static_order()]


def _table(connection: JobConnection, name: str) -> Table:
    rows = connection.execute(_COLUMNS, (name,)).fetchall()
    columns = tuple(column for column, _, hidden in rows if not hidden)
    ranks = sorted((rank, column) for column, rank, _ in rows if rank)
    key = tuple(column for _, column in ranks) or columns
    return Table(name, columns, key, tuple(column for column, _, hidden in rows if hidden))
