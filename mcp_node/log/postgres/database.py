"""Opening the database on PostgreSQL."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import psycopg

from mcp_node.log.database import LogDatabase
from mcp_node.log.interface import Log
from mcp_node.log.mark import MARK, read_mark
from mcp_node.log.migrations import Step
from mcp_node.log.postgres.commits import FROZEN, LOCK_WAIT, Batches, PostgresCommits
from mcp_node.log.postgres.connection import PostgresConnection, connect
from mcp_node.log.postgres.identity import LogIdentity
from mcp_node.log.postgres.reader import PostgresReader
from mcp_node.log.postgres.schema import complaint, lock_number, prepare
from mcp_node.log.transaction import Companion
from proto.errors import ConfigurationError
from proto.settings import Settings

READ_SECONDS: Final = "30s"
"""A read that takes longer is cancelled by the server."""


async def open_database(
    data_dir: Path,
    versions: Sequence[Sequence[Step]],
    make_companions: Callable[[], Sequence[Companion]],
    settings: Settings,
) -> LogDatabase:
    """Open the log in the database that PARTYLINE_STORE names, making it if there is none.

    Args:
        data_dir: of this node: its mark is kept there.
        versions: the steps of each schema version.
        make_companions: called in a thread once the tables are there.
        settings: of the node.

    Raises:
        ConfigurationError: the database cannot be used; the text tells the operator why, and
            nothing of the address.
    """
    assert settings.store is not None
    address, schema = settings.store.get_secret_value(), settings.store_schema
    on_disk = read_mark(data_dir / MARK)
    link = partial(connect, address, schema)

    def prepared() -> tuple[Log, Sequence[Companion]]:
        connection = link()
        try:
            log = prepare(connection, schema, versions, on_disk)
        finally:
            connection.raw.close()
        return log, make_companions()

    try:
        log, companions = await asyncio.to_thread(prepared)
    except psycopg.Error as error:
        raise ConfigurationError(complaint(error)) from None
    lock = lock_number(schema)
    identity = LogIdentity(log.epoch, log.head, lock)
    writing = partial(
        link,
        lock_timeout=LOCK_WAIT,
        idle_in_transaction_session_timeout=FROZEN,
        synchronous_commit="on",
        tcp_keepalives_idle="5",
        tcp_keepalives_interval="2",
        tcp_keepalives_count="3",
    )
    batches = Batches(writing, lock, secrets.token_hex(8), companions, identity)
    reading = partial(link, statement_timeout=READ_SECONDS)

    def checked() -> PostgresConnection:
        connection = reading()
        try:
            identity.check(connection)
        except BaseException:
            connection.raw.close()
            raise
        return connection

    reader, long_reader = (PostgresReader(checked, name) for name in ("reader", "long reads"))
    database = LogDatabase(
        data_dir, log, PostgresCommits(batches), reader, long_reader, settings, identity=identity
    )
    try:
        await database.open(on_disk)
    except BaseException as error:
        await database.close()
        if isinstance(error, psycopg.Error):
            raise ConfigurationError(complaint(error)) from None
        raise
    return database
