"""Messages a second through the database: SQLite and PostgreSQL, side by side.

No tools and no HTTP: callers add messages of 256 characters over 20 sessions, each waiting for its
own. Both engines wait for the disk, in the same directory's file system, and their blocks take
turns.
"""

import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

from bench.row import Row, median
from mcp_node.log.interface import Database
from mcp_node.sessions.new import NewMessage, NewSession
from mcp_node.sessions.operations import AppendMessage, CreateSession
from mcp_node.storage import open_store
from proto.messages import Principal, Visibility, encode_metadata
from proto.settings import Settings
from tests.postgres import PostgresServer, binaries

SESSIONS = 20
BARS = {1: None, 20: 1.0, 200: 1.5}
"""Least ratio to SQLite, by callers in one process."""

_AUTHOR = Principal("bench", "bench", frozenset({"read", "write"}))
_EMPTY = encode_metadata(None)


async def measure(quick: bool) -> list[Row]:
    """A row for each number of callers."""
    if binaries() is None:
        print("no rows for the store: PostgreSQL is not installed", file=sys.stderr)
        return []
    seconds, blocks = (0.5, 1) if quick else (3.0, 5)
    server = await asyncio.to_thread(PostgresServer, durable=True)
    try:
        await asyncio.to_thread(server.start)
        async with AsyncExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pl-")))
            stores = {
                "SQLite": await _opened(stack, directory / "one"),
                "PostgreSQL": await _opened(stack, directory / "two", store=server.address),
            }
            return [await _row(stores, callers, seconds, blocks) for callers in BARS]
    finally:
        await asyncio.to_thread(server.remove)


async def _opened(stack: AsyncExitStack, path: Path, **where: str) -> Database:
    await asyncio.to_thread(path.mkdir)
    store = await open_store(path, Settings(data_dir=path, messages_per_minute=0, **where))
    stack.push_async_callback(store.close)
    for number in range(SESSIONS):
        await store.write(CreateSession(NewSession(f"s{number}", "bench", _EMPTY, "bench"), None))
    return store


async def _row(stores: dict[str, Database], callers: int, seconds: float, blocks: int) -> Row:
    rates: dict[str, list[float]] = {name: [] for name in stores}
    for turn in range(blocks + 1):
        for name, store in stores.items():
            rate = await _rate(store, callers, seconds if turn else 0.5)
            if turn:  # the first one warmed up
                rates[name].append(rate)
    ours, reference = median(rates["PostgreSQL"]), median(rates["SQLite"])
    bar = BARS[callers]
    return Row(
        f"messages/s into PostgreSQL, {callers} callers",
        ours,
        "/s",
        reference,
        "SQLite",
        f"≥ {bar} x" if bar else "",
        ours >= bar * reference if bar else None,
    )


async def _rate(store: Database, callers: int, seconds: float) -> float:
    numbers = count()
    begin = time.monotonic()
    end = begin + seconds

    async def call() -> None:
        while time.monotonic() < end:
            number = next(numbers)
            message = NewMessage(
                f"s{number % SESSIONS}",
                _AUTHOR,
                "bench",
                f"Message {number} ".ljust(256, "."),
                Visibility.PUBLIC,
                _EMPTY,
                None,
            )
            await store.write(AppendMessage(message))

    await asyncio.gather(*(call() for _ in range(callers)))
    return next(numbers) / (time.monotonic() - begin)
