"""get_messages in a log of 1,000,000 messages, on PostgreSQL beside SQLite.

Both have the same rows (`bench.long_log`). First the reads alone, in this process, through the
database as mcp_node opens it: without HTTP. Then the same pages over REST from two mcp_nodes, over
one keep-alive connection each. Both are asked in turn, and a page of each kind is read once before.
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from functools import partial

from bench.calls import Caller
from bench.long_log import LARGE, copy_log, write_log
from bench.measured_pair import bench_pair
from bench.measurements.page_of_five_million import in_turn, page_requests
from bench.row import Row, median, quantile
from mcp_node.log.interface import Database
from mcp_node.log.sqlite.schema import DATABASE
from mcp_node.sessions.reads import Page, PageQuery, page
from mcp_node.storage import open_store
from proto import keyfile
from proto.messages import Audience
from proto.settings import Settings
from tests.pair import Pair
from tests.postgres import PostgresServer, binaries

RATIO = 2.0
ASKED = ("newest 50", "50 after the middle", "one sender's newest 20")
"""Of `bench.measurements.page_of_five_million.PAGES`."""

_AUDIENCE = Audience("agent-0", "claude")


async def measure(quick: bool) -> list[Row]:
    """Median and p99 of each kind of page on both engines."""
    if binaries() is None:
        print("no rows for pages: PostgreSQL is not installed", file=sys.stderr)
        return []
    count, calls = (20_000, 50) if quick else (1_000_000, 200)
    server = await asyncio.to_thread(PostgresServer, durable=True)
    try:
        await asyncio.to_thread(server.start)
        return await pages(server.address, "bench", count, calls)
    finally:
        await asyncio.to_thread(server.remove)


async def pages(address: str, schema: str, count: int, calls: int) -> list[Row]:
    """The rows for a log of ``count`` messages, of ``calls`` calls of each kind."""
    ours = bench_pair(start=("mcp",), STORE=address, STORE_SCHEMA=schema)
    reference = bench_pair(start=("mcp",))
    reference.mcp.environment.pop("PARTYLINE_STORE", None)  # tests may run on PostgreSQL
    for pair in (ours, reference):
        keyfile.open_data_dir(pair.data_dir)
    await asyncio.to_thread(write_log, reference.data_dir / DATABASE, count)
    await asyncio.to_thread(copy_log, reference.data_dir, address, schema)
    rows = []
    async with AsyncExitStack() as stack:
        on_postgres = Settings(data_dir=ours.data_dir, store=address, store_schema=schema)
        on_sqlite = Settings(data_dir=reference.data_dir, store=None)
        stores = []
        for settings in (on_postgres, on_sqlite):
            stores.append(await open_store(settings.data_dir, settings))
            stack.push_async_callback(stores[-1].close)
        for name, query in _queries(count).items():
            took = await _read_in_turn(stores, query, calls)
            rows += _rows(f"page of {count:,}, read alone: {name}", *took)
    async with ours, reference:
        asked = [await _requests(pair, count) for pair in (ours, reference)]
        for name in ASKED:
            took = await in_turn([(caller, requests[name]) for caller, requests in asked], calls)
            rows += _rows(f"page of {count:,}, REST: {name}", *took)
        for caller, _ in asked:
            caller.close()
    return rows


def _queries(count: int) -> dict[str, PageQuery]:
    newest = PageQuery(LARGE, None, None, 50, descending=True)
    middle = PageQuery(LARGE, count // 2, None, 50)
    one_sender = newest._replace(limit=20, sender="agent-1")
    return dict(zip(ASKED, (newest, middle, one_sender), strict=True))


async def _read_in_turn(stores: list[Database], query: PageQuery, calls: int) -> list[list[float]]:
    """Milliseconds of each read on both; the order turns with every read."""
    read = partial(page, audience=_AUDIENCE, query=query)
    found: list[Page] = [await store.read(read) for store in stores]
    assert len(found[0].messages) == query.limit
    assert found[0] == found[1]
    took: list[list[float]] = [[], []]
    turns = list(zip(stores, took, strict=True))
    for number in range(calls):
        for store, times in turns if number % 2 else reversed(turns):
            begin = time.perf_counter()
            await store.read(read)
            times.append((time.perf_counter() - begin) * 1e3)
    return took


async def _requests(pair: Pair, count: int) -> tuple[Caller, dict[str, bytes]]:
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_connection(Caller, "127.0.0.1", pair.mcp_port)
    return caller, page_requests(pair, count)


def _rows(name: str, ours: list[float], reference: list[float]) -> list[Row]:
    half, other_half = median(ours), median(reference)
    of_fifty = "50" in name
    return [
        Row(
            f"{name}, p50",
            half,
            "ms",
            other_half,
            "SQLite",
            f"≤ {RATIO:.0f} x" if of_fifty else "",
            half <= RATIO * other_half if of_fifty else None,
        ),
        Row(f"{name}, p99", quantile(ours, 0.99), "ms", quantile(reference, 0.99), "SQLite"),
    ]
