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
from mcp_node.log.postgres.commits import (
    FROZEN,
    LOCK_WAIT,
    AnotherWriter,
    Batches,
    PostgresCommits,
    after_the_other_writer,
    become_writer,
)
from mcp_node.log.postgres.connection import connect
from mcp_node.log.postgres.reader import PostgresReader
from mcp_node.log.postgres.schema import complaint, lock_number, prepare
from mcp_node.log.transaction import Companion
from proto.errors import ConfigurationError
from proto.settings import Settings

READ_SECONDS: Final = "30s"
"""A read that takes longer is cancelled by the server."""

_IN_USE: Final = "PARTYLINE_STORE is in use by another mcp_node; stop that one first"


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
            # A newer node that waits must not migrate the tables of the one that still writes.
            become_writer(connection, lock_number(schema))
            log = prepare(connection, schema, versions, on_disk)
        finally:
            connection.raw.close()
        return log, make_companions()

    try:
        log, companions = await after_the_other_writer(lambda: asyncio.to_thread(prepared))
    except AnotherWriter:
        raise ConfigurationError(_IN_USE) from None
    except psycopg.Error as error:
        raise ConfigurationError(complaint(error)) from None
    writing = partial(
        link,
        lock_timeout=LOCK_WAIT,
        idle_in_transaction_session_timeout=FROZEN,
        synchronous_commit="on",
        tcp_keepalives_idle="5",
        tcp_keepalives_interval="2",
        tcp_keepalives_count="3",
    )
    node = secrets.token_hex(8)
    commits = PostgresCommits(Batches(writing, lock_number(schema), node, companions, log.head))
    reading = partial(link, statement_timeout=READ_SECONDS)
    reader, long_reader = (PostgresReader(reading, name) for name in ("reader", "long reads"))
    database = LogDatabase(data_dir, log, commits, reader, long_reader, settings)
    try:
        await database.open(on_disk)
    except BaseException as error:
        await database.close()
        if isinstance(error, AnotherWriter):
            raise ConfigurationError(_IN_USE) from None
        if isinstance(error, psycopg.Error):
            raise ConfigurationError(complaint(error)) from None
        raise
    return database
