"""Compares both sides of a transfer by what is read back from them: counts and digests.

Messages are compared session by session, everything else table by table. Both sides are read in the
same order, row by row, so that any number of rows takes little memory.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from mcp_node.transfer.catalogue import Table, listed
from mcp_node.transfer.store import Row, Store

MESSAGES = "messages"


class Digest(NamedTuple):
    """How many rows there were, and the SHA-256 of their values in order."""

    rows: int
    sha256: bytes


NOTHING = Digest(0, hashlib.sha256().digest())


class Difference(NamedTuple):
    """Rows that differ: of a whole table, or of one session's messages."""

    what: str
    source: int
    target: int

    def __str__(self) -> str:
        if self.source == self.target:
            return f"{self.what}: {self.source:,} rows on both sides, but not the same ones"
        return f"{self.what}: {self.source:,} rows in the source, {self.target:,} in the target"


class Compared(NamedTuple):
    """The result for one table: its rows in the source, its sessions, and what differs.

    ``sessions`` is 0 unless the table is compared session by session.
    """

    table: str
    rows: int
    sessions: int
    differences: Sequence[Difference]


def compare(source: Store, target: Store, table: Table) -> Compared:
    """Read a table from both sides and compare."""
    if table.name == MESSAGES:
        statement = _by_session(table)
        parts = [sessions(store.stream(statement)) for store in (source, target)]
        return compare_sessions(*parts)
    ours, theirs = (digest(store.stream(table.in_order)) for store in (source, target))
    found = [Difference(table.name, ours.rows, theirs.rows)] if ours != theirs else []
    return Compared(table.name, ours.rows, 0, found)


def compare_sessions(
    source: Iterator[tuple[str, Digest]], target: Iterator[tuple[str, Digest]]
) -> Compared:
    """Compare two lists of digests, both ordered by session."""
    rows = count = 0
    differences = []
    ours, theirs = next(source, None), next(target, None)
    while ours or theirs:
        name = min(part[0] for part in (ours, theirs) if part)
        left = right = NOTHING
        if ours and ours[0] == name:
            left, ours = ours[1], next(source, None)
        if theirs and theirs[0] == name:
            right, theirs = theirs[1], next(target, None)
        rows += left.rows
        count += 1
        if left != right:
            differences.append(Difference(f"messages of {name}", left.rows, right.rows))
    return Compared(MESSAGES, rows, count, differences)


def sessions(rows: Iterable[Row]) -> Iterator[tuple[str, Digest]]:
    """The digest of each session's rows, whose first value is the session; ordered by it."""
    for name, part in groupby(rows, key=lambda row: row[0]):
        yield name, digest(part)


def digest(rows: Iterable[Sequence[Any]]) -> Digest:
    """The digest of rows in their order."""
    found, count = hashlib.sha256(), 0
    encode = msgspec.msgpack.Encoder().encode  # tells texts from bytes, unlike JSON
    for row in rows:
        found.update(encode(row))
        count += 1
    return Digest(count, found.digest())


def _by_session(messages: Table) -> str:
    """All columns, the generated ones included: who may see a message must be the same as well."""
    columns = listed(("session_id", *messages.columns, *messages.generated))
    return f"SELECT {columns} FROM {messages.name} ORDER BY session_id, id"
