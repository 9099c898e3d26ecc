"""`mcp_node.log.writer.Commits` on PostgreSQL: the writing connection, in a thread of its own."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import psycopg

from mcp_node.log.postgres.batches import Batches
from mcp_node.log.postgres.connection import Thread
from mcp_node.log.transaction import Committed, Operation
from mcp_node.log.writer import describe
from proto.errors import Unavailable

logger = logging.getLogger(__name__)


class PostgresCommits:
    """`mcp_node.log.writer.Commits` on PostgreSQL.

    Args:
        batches: the writing connection.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._thread = Thread("writer")

    async def open(self) -> None:
        """Connect.

        Raises:
            LogReplaced: the server holds another log.
            psycopg.Error: the database cannot be used.
        """
        await self._thread.run(self._batches.open)

    async def commit(self, operations: Sequence[Operation[Any]]) -> Committed:
        """Run all operations in one transaction and commit it; see `Commits.commit`."""
        return await self._thread.run(partial(self._batches.commit, operations))

    async def recover(self) -> None:
        """Replace the connection after a failed commit. If that fails, the next batch retries."""
        try:
            await self.open()
        except Exception as error:
            logger.error("the database cannot be reached: %s", describe(error))

    async def checkpoint(self) -> bool:
        """Have the server remove what was erased; see `Database.checkpoint`.

        Raises:
            Unavailable: the database failed.
        """
        try:
            await asyncio.to_thread(self._batches.vacuum)
        except psycopg.Error as error:
            logger.error("deleted messages cannot be vacuumed: %s", describe(error))
            raise Unavailable("The message log cannot be written.") from None
        return True

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        if self._thread.ended:
            return
        await self._thread.run(self._batches.close)
        self._thread.end()
