"""Copies tables in transactions of some thousand rows, in the order of their keys.

How far a table was copied is read from the target itself: the rows after its last key are missing.
A process that was killed therefore leaves nothing that has to be undone.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from mcp_node.log.messages import HEAD
from mcp_node.search.index import SearchIndex
from mcp_node.transfer.catalogue import Table
from mcp_node.transfer.store import Row, Store

BATCH_ROWS: Final = 5_000
BATCH_BYTES: Final = 4_194_304
"""A transaction has at most this many rows, and ends with the row that reaches this many bytes."""

INDEXED_PAGES: Final = 5
"""Thousands of messages that are indexed for search in one transaction."""

REPORT_SECONDS: Final = 2.0

_INDEXED: Final = "SELECT through FROM search_state"
_VALUE_BYTES: Final = 8


class Progress:
    """Prints how far something is, not more often than every `REPORT_SECONDS`.

    Args:
        say: prints a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said_at = time.monotonic()

    def done(self, what: str, count: int, of: int) -> None:
        """Report that ``count`` rows ``of`` all are done."""
        now = time.monotonic()
        if count >= of or now - self._said_at >= REPORT_SECONDS:
            self._said_at = now
            self._say(f"  {what:<14} {count:>12,} of {of:,}")


def copy_table(source: Store, target: Store, table: Table, progress: Progress) -> None:
    """Copy the rows of a table that the target lacks.

    Raises:
        Exception: an engine's own error. What was committed before stays.
    """
    last = target.connection.execute(table.last_key).fetchone()
    missing = source.stream(table.in_order) if last is None else source.stream(table.after, last)
    count = "SELECT count(*) FROM " + table.name
    copied, total = target.one(count), source.one(count)
    for batch in batches(missing, BATCH_ROWS, BATCH_BYTES):
        with target.transaction():
            target.insert(table, batch)
        copied += len(batch)
        progress.done(table.name, copied, total)


def index_messages(target: Store, progress: Progress) -> None:
    """Build the search index of the messages that it does not have yet."""
    index = SearchIndex()
    last = target.one(HEAD)
    while target.one(_INDEXED) < last:
        with target.transaction():
            index.catch_up(target.connection, INDEXED_PAGES)
        progress.done("search index", target.one(_INDEXED), last)


def batches(rows: Iterable[Row], most_rows: int, most_bytes: int) -> Iterator[list[Row]]:
    """Rows in lists of at most ``most_rows``, each ended by the row that reaches ``most_bytes``."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(v) if isinstance(v, str | bytes) else _VALUE_BYTES for v in row)
        if len(batch) >= most_rows or size >= most_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
