"""A connection to PostgreSQL that runs the features' statements, in a thread of its own."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import msgspec
import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.types.string import StrDumper

from mcp_node.log.postgres.statements import many_rows, translated
from mcp_node.log.sql import Cursor, Engine, Parameters

T = TypeVar("T")

CONNECT_SECONDS: Final = 5
"""The longest that one attempt to connect may take."""

PREPARED_STATEMENTS: Final = 500

_REQUIRE_AUTH: Final = 160_000
"""The version of libpq that has the option."""

_OPEN: Final = (TransactionStatus.ACTIVE, TransactionStatus.INTRANS, TransactionStatus.INERROR)


class _BoolAsInt(Dumper):
    """A boolean as 0 or 1: the tables store numbers, as SQLite's do."""

    oid = psycopg.adapters.types["int4"].oid

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class _SumAsInt(Loader):
    """PostgreSQL's sum of integers is a numeric; SQLite's is an integer."""

    def load(self, data: Buffer) -> int:
        return int(bytes(data))


class PostgresConnection:
    """`mcp_node.log.sql.Connection` on psycopg, in autocommit: transactions are begun by name.

    Args:
        raw: the connection.
    """

    engine: Engine = "postgresql"

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; not on a connection that is lost."""
        return self.raw.info.transaction_status in _OPEN

    def execute(self, statement: str, parameters: Parameters = (), /) -> Cursor:
        """Run a portable statement.

        Raises:
            psycopg.Error: it failed.
        """
        return self.raw.execute(translated(statement), parameters)

    def executemany(self, statement: str, rows: Iterable[Sequence[object]], /) -> object:
        """Insert many rows with one statement.

        Raises:
            ValueError: it is not an INSERT.
            psycopg.Error: it failed.
        """
        many = many_rows(statement)
        objects = [dict(zip(many.columns, row, strict=True)) for row in rows]
        return self.raw.execute(many.sql, (msgspec.json.encode(objects).decode(),))


def connect(address: str, schema: str, **session: str) -> PostgresConnection:
    """Connect; blocks for at most about `CONNECT_SECONDS` for each host of the address.

    Args:
        address: a ``postgresql://`` URL, as libpq takes it.
        schema: where the tables are.
        session: settings of the session.

    Raises:
        psycopg.Error: the server cannot be reached, or refuses.
    """
    raw = psycopg.connect(
        _without_clear_passwords(address),
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        application_name="partyline",
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=10_000,
    )
    try:
        raw.prepare_threshold = 1
        raw.prepared_max = PREPARED_STATEMENTS
        raw.adapters.register_dumper(bool, _BoolAsInt)
        raw.adapters.register_loader("numeric", _SumAsInt)
        raw.adapters.register_dumper(str, StrDumper)  # text, never "unknown": functions overload
        values = {"jit": "off", "timezone": "UTC", **session}
        for name, value in values.items():
            raw.execute("SELECT set_config(%s, %s, false)", (name, value))
        raw.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
    except BaseException:
        raw.close()
        raise
    return PostgresConnection(raw)


def _without_clear_passwords(address: str) -> str:
    """The address, by which libpq refuses a server that asks for the password itself.

    Otherwise whoever takes the server's port while it is away would be told the password. An
    address that says ``require_auth`` is left as it is.
    """
    named = conninfo_to_dict(address)
    if psycopg.pq.version() < _REQUIRE_AUTH or "require_auth" in named:
        return address
    return make_conninfo(address, require_auth="!password")


class Thread:
    """A thread that runs one job at a time."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self.ended = False
        """Whether `end` was called."""

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` in the thread. A cancelled caller does not stop it.

        Raises:
            RuntimeError: the thread has ended.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def end(self) -> None:
        """End after the job under way. Idempotent."""
        self.ended = True
        self._executor.shutdown(wait=False)
