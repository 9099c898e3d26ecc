"""Where the time of transactions on PostgreSQL goes: wraps methods of psycopg and of the log."""

import threading
import time
from typing import Any

import msgspec
from psycopg import Connection

from mcp_node.log.postgres.batches import Batches


class BatchTimes(msgspec.Struct):
    """Sums over transactions, in seconds.

    Attributes:
        batches: how many transactions.
        thread: what the writer's thread spent on them.
        waiting: of that, waiting for the server; COMMIT included.
        commit: of that, waiting for COMMIT.
    """

    batches: int = 0
    thread: float = 0.0
    waiting: float = 0.0
    commit: float = 0.0

    def install(self) -> None:
        """Add up from now on in this process; that costs about 1 µs for each statement."""
        wait, execute, commit = Connection.wait, Connection.execute, Batches.commit
        writer = 0

        def timed_wait(*arguments: Any, **options: Any) -> Any:
            begin = time.perf_counter()
            result = wait(*arguments, **options)
            if threading.get_ident() == writer:
                self.waiting += time.perf_counter() - begin
            return result

        def timed_execute(connection: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            begin = time.perf_counter()
            result = execute(connection, query, *arguments, **options)
            if query == "COMMIT":
                self.commit += time.perf_counter() - begin
            return result

        def timed_commit(batches: Any, operations: Any) -> Any:
            nonlocal writer
            writer = threading.get_ident()
            begin = time.perf_counter()
            result = commit(batches, operations)
            self.thread += time.perf_counter() - begin
            self.batches += 1
            return result

        connections: Any = Connection
        connections.wait, connections.execute = timed_wait, timed_execute
        log: Any = Batches
        log.commit = timed_commit
