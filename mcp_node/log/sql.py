"""What a feature sees of the database in its reads and operations: a connection that runs SQL.

Statements are written once for SQLite and PostgreSQL (`mcp_node.log.postgres.statements`
translates them, the migrations' types included). Beyond the SQL that both understand:

- Parameters are ``?`` or ``:name``. A boolean is stored as 0 or 1.
- A list is one parameter, a JSON array: ``IN (SELECT value FROM json_each(:names))``. Its values
  are texts; for numbers there is `numbers`.
- ``ifnull``, ``iif``, and ``max`` and ``min`` of two values are there in both.
- ``INDEXED BY``, and ``CROSS`` before ``JOIN … ON``, are for SQLite, whose planner has no
  statistics; PostgreSQL does not see them.
- ``ON CONFLICT`` names its columns, a derived table has a name, and a column of the row that is
  there already is written with its table.
- A parameter that may be NULL is cast where nothing else tells its type:
  ``CAST(:since AS TEXT) IS NULL``.
- Texts compare by code point.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

Engine = Literal["sqlite", "postgresql"]

Parameters = Sequence[object] | Mapping[str, object]


class Cursor(Protocol):
    """The rows of a statement, as tuples."""

    def fetchone(self) -> Any:
        """The next row, None if there are no more."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """The rows that are left, one after another."""


class Connection(Protocol):
    """A connection, used in its own thread within one transaction."""

    @property
    def engine(self) -> Engine:
        """For the few statements that one engine has of its own."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; an engine that fails may have ended it."""

    def execute(self, sql: str, parameters: Parameters = (), /) -> Cursor:
        """Run a statement.

        Raises:
            Exception: the engine's own error; the transaction is then of no use any more.
        """

    def executemany(self, sql: str, rows: Iterable[Sequence[object]], /) -> object:
        """Insert rows: ``INSERT INTO table (columns) VALUES (?, …)``, and ON CONFLICT if need be.

        The values are texts, numbers and None.
        """


def numbers(parameter: str) -> str:
    """The numbers of a JSON array, for ``IN``.

    Args:
        parameter: the name of the array's parameter, such as ``:ids``.
    """
    return f"(SELECT CAST(value AS BIGINT) FROM json_each({parameter}))"
