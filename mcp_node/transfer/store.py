"""What a transfer needs of a database engine, and which deployment a store holds."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from mcp_node.log.epoch import EPOCH, TRANSFER, transfer_under_way
from mcp_node.log.mark import Mark
from mcp_node.log.sql import Connection, Parameters
from mcp_node.transfer.catalogue import Table
from proto.errors import ConfigurationError

Row = Sequence[Any]

_OWN_META: Final = ("schema", "reopened", TRANSFER)
"""Rows of ``meta`` that are of one database, not of the deployment."""


class Store(ABC):
    """One side of a transfer: an open store that no node uses.

    Attributes:
        connection: the only one, in autocommit.
        name: for texts, such as ``/data/partyline.db``.
        removal: for texts: how an operator removes it.
    """

    connection: Connection
    name: str
    removal: str

    @property
    @abstractmethod
    def versions(self) -> tuple[int, int]:
        """The schema version of the tables (0: there are none), and this Partyline's version."""

    @abstractmethod
    def make_tables(self) -> None:
        """Make the tables if there are none."""

    @abstractmethod
    def settle_epoch(self, mark: Mark | None) -> str:
        """The log's epoch: a new one if messages were lost, as from a node that starts.

        Args:
            mark: the last durable id that the node of this data directory knew.

        Raises:
            ConfigurationError: the store is the target of a transfer that has not finished.
        """

    @abstractmethod
    def stream(self, statement: str, parameters: Parameters = ()) -> Iterator[Row]:
        """The rows of a SELECT, of which few are in memory at a time."""

    @abstractmethod
    def insert(self, table: Table, rows: Iterable[Row]) -> None:
        """Insert rows of a table's columns, in the caller's transaction."""

    @abstractmethod
    def prepare_for_copying(self) -> None:
        """Called in the transaction that marks the store as a target."""

    @abstractmethod
    def prepare_for_use(self) -> None:
        """Called when all rows are copied. Later commits are durable, with all before them."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection, and let nodes use the store. Idempotent."""

    def columns(self, table: Table) -> Table:
        """The table as this engine has it: PostgreSQL shows a row number where SQLite hides it."""
        return table

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction: committed at the end, rolled back after an exception."""
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            with suppress(Exception):
                self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def one(self, statement: str) -> Any:
        """The first value of a SELECT's first row, None if it has no rows."""
        row = self.connection.execute(statement).fetchone()
        return None if row is None else row[0]


def origin(source: Store, mark: Mark | None, say: Callable[[str], None]) -> str:
    """Which state of which log a source holds: its epoch, and its last opening by a node.

    A node that uses the source later changes it. If messages were lost, the source gets a new
    epoch, as from a node that starts.

    Args:
        source: the store.
        mark: the last durable id that the node of this data directory knew.
        say: prints a line.

    Raises:
        ConfigurationError: it holds no complete deployment of this version.
    """
    found, supported = source.versions
    if not found:
        raise ConfigurationError(f"there is no log in {source.name}")
    if found < supported:
        raise ConfigurationError(
            f"the tables in {source.name} are of an older Partyline: start mcp_node of this one"
            " there once, stop it, then run this command again"
        )
    if found > supported:
        raise ConfigurationError(
            f"the tables in {source.name} are of a newer Partyline; install that one"
        )
    before = source.one(EPOCH)
    with source.transaction():
        epoch = source.settle_epoch(mark)
    if epoch != before:
        say("The last messages of the log are lost: it gets a new epoch, and viewers will reload.")
    return _opened(source, epoch)


def begin(target: Store, tables: Sequence[Table], wanted: str) -> bool:
    """Mark a target as being filled; return whether it already is a complete copy of the source.

    Args:
        target: empty, or filled in part from the same source.
        tables: the catalogue.
        wanted: the `origin`.

    Raises:
        ConfigurationError: the target holds something else.
    """
    found, supported = target.versions
    if found not in (0, supported):
        raise ConfigurationError(
            f"{target.name} has tables of another version of Partyline; choose an empty target"
        )
    target.make_tables()
    under_way = transfer_under_way(target.connection)
    if under_way == wanted:
        return False
    if under_way is not None:
        raise ConfigurationError(
            f"{target.name} was filled in part from another log, or that log was used since: remove"
            f" this part ({target.removal}), then run this command again"
        )
    epoch = target.one(EPOCH)
    if _opened(target, epoch) == wanted:
        return True
    if any(target.one(f"SELECT 1 FROM {t.name} LIMIT 1") for t in tables if t.name != "starts"):
        this = "this" if epoch == wanted.partition(" ")[0] else "another"
        raise ConfigurationError(
            f"{target.name} holds the data of {this} deployment; choose another target, or remove"
            f" what it holds ({target.removal})"
        )
    with target.transaction():
        target.connection.execute("DELETE FROM starts")
        target.connection.execute("DELETE FROM meta WHERE name = 'epoch'")
        target.connection.execute("INSERT INTO meta VALUES (?, ?)", (TRANSFER, wanted))
        target.prepare_for_copying()
    return False


def complete(source: Store, target: Store) -> None:
    """Give the target the source's epoch, which makes it usable, in one durable transaction."""
    rows = source.connection.execute("SELECT name, value FROM meta").fetchall()
    with target.transaction():
        for name, value in rows:
            if name not in _OWN_META:
                target.connection.execute(
                    "INSERT INTO meta (name, value) VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    (name, value),
                )
        target.connection.execute("DELETE FROM meta WHERE name = ?", (TRANSFER,))


def _opened(store: Store, epoch: str | None) -> str:
    return f"{epoch} {store.one('SELECT max(at) FROM starts')!r}"
