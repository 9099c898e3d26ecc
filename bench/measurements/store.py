"""Messages a second through the database: SQLite, and PostgreSQL in 1, 2 and 4 processes.

The callers are those of `bench.store_load`, spread over the processes, which are nodes' writers
without doors. Everything waits for the disk, in the same file system. The blocks of all take turns;
the processes of one block write one log, which no other block writes.

The last rows tell where the time of one transaction of one process on PostgreSQL goes.
"""

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from bench.batch_times import BatchTimes
from bench.child import Child
from bench.row import Row, median
from tests.postgres import PostgresServer, binaries

BARS = {1: None, 20: 1.0, 200: 1.5}
"""Least ratio to SQLite of one process, by callers."""
SQLITE, ONE = "SQLite", "PostgreSQL"
PROCESSES = {SQLITE: 1, ONE: 1, "PostgreSQL from 2 processes": 2, "PostgreSQL from 4 processes": 4}


class _Block(NamedTuple):
    """Messages/s of all processes, and where their transactions' time went.

    Attributes:
        rate: messages/s.
        messages: how many.
        seconds: how long it took, summed over the processes.
        spent: on PostgreSQL.
    """

    rate: float
    messages: int
    seconds: float
    spent: BatchTimes


async def measure(quick: bool) -> list[Row]:
    """Rows for each number of callers."""
    if binaries() is None:
        print("no rows for the store: PostgreSQL is not installed", file=sys.stderr)
        return []
    seconds, blocks = (0.5, 1) if quick else (3.0, 5)
    server = await asyncio.to_thread(PostgresServer, durable=True)
    try:
        await asyncio.to_thread(server.start)
        async with AsyncExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pl-")))
            writers = {
                name: [
                    await stack.enter_async_context(_writer(directory, name, number, server))
                    for number in range(count)
                ]
                for name, count in PROCESSES.items()
            }
            rows, shares = [], []
            for callers in BARS:
                found = await _in_turn(writers, callers, seconds, blocks)
                rows += _rates(found, callers)
                if callers > 1:
                    shares += _shares(found[ONE], callers)
            return rows + shares
    finally:
        await asyncio.to_thread(server.remove)


def _writer(directory: Path, name: str, number: int, server: PostgresServer) -> Child:
    schema = f"processes_{PROCESSES[name]}"
    path = directory / f"{name}-{number}"
    path.mkdir()
    where = () if name == SQLITE else (server.address, schema)
    return Child("bench.store_load", path, *where)


async def _in_turn(
    writers: dict[str, list[Child]], callers: int, seconds: float, blocks: int
) -> dict[str, list[_Block]]:
    """The blocks of each, with so many callers in all its processes together."""
    found: dict[str, list[_Block]] = {}
    for turn in range(blocks + 1):
        for name, processes in writers.items():
            if callers >= len(processes):
                block = await block_of(processes, callers, seconds if turn else 0.5)
                if turn:  # the first one warmed up
                    found.setdefault(name, []).append(block)
    return found


async def block_of(processes: list[Child], callers: int, seconds: float) -> _Block:
    """Have so many callers, spread over the processes, add messages for so long."""
    for process in processes:
        process.tell(callers // len(processes), seconds)
    found = await asyncio.gather(*(process.found() for process in processes))
    return _Block(
        sum(messages / took for messages, took, _ in found),
        sum(messages for messages, _, _ in found),
        sum(took for _, took, _ in found),
        BatchTimes(*map(sum, zip(*(spent for _, _, spent in found), strict=True))),
    )


def _rates(found: dict[str, list[_Block]], callers: int) -> list[Row]:
    rates = {name: median([block.rate for block in blocks]) for name, blocks in found.items()}
    reference = rates.pop(SQLITE)
    rows = []
    for name, rate in rates.items():
        bar = BARS[callers] if name == ONE else None
        rows.append(
            Row(
                f"messages/s into {name}, {callers} callers",
                rate,
                "/s",
                reference,
                SQLITE,
                f"≥ {bar} x" if bar else "",
                rate >= bar * reference if bar else None,
            )
        )
    return rows


def _shares(blocks: list[_Block], callers: int) -> list[Row]:
    """Of the mean transaction of one process."""
    count = sum(block.spent.batches for block in blocks)
    waiting, commit, thread = (
        sum(getattr(block.spent, name) for block in blocks) / count * 1e3
        for name in ("waiting", "commit", "thread")
    )
    whole = sum(block.seconds for block in blocks) / count * 1e3
    name = f"transaction on PostgreSQL, {callers} callers"
    return [
        Row(f"{name}: messages", sum(block.messages for block in blocks) / count, ""),
        Row(
            f"{name}: waiting for statements", waiting - commit, "ms", whole, "from one to the next"
        ),
        Row(f"{name}: waiting for COMMIT", commit, "ms", whole, "from one to the next"),
        Row(f"{name}: Python in its thread", thread - waiting, "ms", whole, "from one to the next"),
        Row(f"{name}: between two", whole - thread, "ms", whole, "from one to the next"),
    ]
