"""Opening the database on PostgreSQL."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import psycopg

from mcp_node.log.database import LogDatabase
from mcp_node.log.interface import Log
from mcp_node.log.mark import MARK, read_mark
from mcp_node.log.migrations import Step
from mcp_node.log.postgres.batches import FROZEN, LOCK_WAIT, Batches
from mcp_node.log.postgres.commits import PostgresCommits
from mcp_node.log.postgres.connection import PostgresConnection, connect
from mcp_node.log.postgres.identity import LogIdentity
from mcp_node.log.postgres.reader import PostgresReader
from mcp_node.log.postgres.schema import complaint, is_away, lock_number, prepare
from mcp_node.log.transaction import Companion
from proto.errors import ConfigurationError
from proto.settings import Settings

READ_SECONDS: Final = "30s"
"""A read that takes longer is cancelled by the server."""


START_SECONDS: Final = 30.0
"""How long a node that starts waits for a server that cannot be reached, or has yet to recover."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


async def _once_it_answers(work: Callable[[], Awaitable[T]]) -> T:
    """What ``work`` returns, tried for `START_SECONDS` while the server is away.

    Raises:
        ConfigurationError: the server refuses, or is still away.
    """
    deadline = time.monotonic() + START_SECONDS
    told = False
    while True:
        try:
            return await work()
        except psycopg.Error as error:
            if not is_away(error) or time.monotonic() > deadline:
                raise ConfigurationError(complaint(error)) from None
            if not told:
                logger.warning("%s; trying again for %d s", complaint(error), START_SECONDS)
                told = True
        await asyncio.sleep(0.2)


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

    lock = lock_number(schema)
    writing = partial(
        link,
        lock_timeout=LOCK_WAIT,
        idle_in_transaction_session_timeout=FROZEN,
        synchronous_commit="on",
        tcp_keepalives_idle="5",
        tcp_keepalives_interval="2",
        tcp_keepalives_count="3",
    )
    reading = partial(link, statement_timeout=READ_SECONDS)

    async def opened() -> LogDatabase:
        log, companions = await asyncio.to_thread(prepared)
        identity = LogIdentity(log.epoch, log.head, lock)
        batches = Batches(writing, lock, secrets.token_hex(8), companions, identity)
        checked = partial(_checked, reading, identity)
        reader, long_reader = (PostgresReader(checked, name) for name in ("reader", "long reads"))
        commits = PostgresCommits(batches)
        database = LogDatabase(
            data_dir, log, commits, reader, long_reader, settings, identity=identity
        )
        try:
            await database.open(on_disk)
        except BaseException:
            await database.close()
            raise
        return database

    return await _once_it_answers(opened)


def _checked(link: Callable[[], PostgresConnection], identity: LogIdentity) -> PostgresConnection:
    connection = link()
    try:
        identity.check(connection)
    except BaseException:
        connection.raw.close()
        raise
    return connection
