"""``python -m tests.mcp_node.transfer.killed_after ROWS FROM TO``: partyline migrate, killed.

It kills itself when it has handed that many rows to the target, in the middle of a transaction.
"""

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from itertools import count

from mcp_node.commands.cli import main
from mcp_node.transfer import copying
from mcp_node.transfer.catalogue import Table
from mcp_node.transfer.postgres import PostgresStore
from mcp_node.transfer.sqlite import SqliteStore
from mcp_node.transfer.store import Row, Store


def kill_after(kind: type[Store], rows: int) -> None:
    """Let the inserts of a side end the process."""
    inserted, insert = count(1), kind.insert

    def counted(given: Iterable[Row]) -> Iterator[Row]:
        for row in given:
            if next(inserted) > rows:
                os.kill(os.getpid(), signal.SIGKILL)
            yield row

    def insert_until(self: Store, table: Table, given: Iterable[Row]) -> None:
        insert(self, table, counted(given))

    kind.insert = insert_until  # type: ignore[method-assign]


if __name__ == "__main__":
    copying.BATCH_ROWS = 10  # type: ignore[misc]
    for side in (SqliteStore, PostgresStore):
        kill_after(side, int(sys.argv[1]))
    sys.exit(main(["migrate", "--from", sys.argv[2], "--to", sys.argv[3]]))
