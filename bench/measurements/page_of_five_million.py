"""get_messages in a log of 5,000,000 messages, against one of 1,000.

Two mcp_nodes, each on a log of its own (`bench.long_log`), asked in turn, page by page, over one
keep-alive connection each. The first rows are the page an agent asks for most, as the tool and
over REST; then every other way to ask, over REST. A page of each kind is read once before.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

from bench.calls import Caller, request
from bench.long_log import LARGE, RARE, write_log
from bench.measured_pair import bench_pair
from bench.row import Row, median, quantile
from mcp_node.log.sqlite.schema import DATABASE
from proto import keyfile
from tests.pair import Pair

SMALL = 1_000
RATIO = 1.5
PAGES = {
    "newest 50": "",
    "50 after the middle": "after={middle}",
    "50 before the middle": "before={middle}",
    "one sender's newest 20": "limit=20&sender=agent-1",
    "a rare sender's 3": "sender={rare}",
    "a sender who wrote nothing": "sender=nobody",
    "newest 20 agent_only": "limit=20&visibility=agent_only",
    "a sender's 5 of agent_only": "limit=5&visibility=agent_only&sender=agent-2",
}
"""What is asked, as REST's query."""
PLAIN = 3
"""How many of them, from the first, have the bar."""


async def measure(quick: bool) -> list[Row]:
    """Median and p99 of each kind of page on both logs."""
    large, calls = (200_000, 100) if quick else (5_000_000, 500)
    async with AsyncExitStack() as stack:
        asked = []
        for count in (large, SMALL):
            pair = bench_pair(start=("mcp",))
            path = Path(keyfile.open_data_dir(pair.data_dir)) / DATABASE
            await asyncio.to_thread(write_log, path, count)
            await stack.enter_async_context(pair)
            loop = asyncio.get_running_loop()
            _, caller = await loop.create_connection(Caller, "127.0.0.1", pair.mcp_port)
            stack.callback(caller.close)
            asked.append((caller, page_requests(pair, count)))
        rows = []
        for number, name in enumerate(asked[0][1]):
            ours, reference = await in_turn(
                [(caller, requests[name]) for caller, requests in asked], calls
            )
            ratio = median(ours) / median(reference)
            plain = number <= PLAIN
            against = f"of {SMALL:,}"
            rows.append(
                Row(
                    f"page of {large:,}: {name}, p50",
                    median(ours),
                    "ms",
                    median(reference),
                    against,
                    f"≤ {RATIO} x" if plain else "",
                    ratio <= RATIO if plain else None,
                )
            )
            p99 = quantile(ours, 0.99), quantile(reference, 0.99)
            rows.append(Row(f"page of {large:,}: {name}, p99", p99[0], "ms", p99[1], against))
    return rows


def page_requests(pair: Pair, count: int) -> dict[str, bytes]:
    """Each kind of page as a whole HTTP request; the tool's is the first."""
    requests = {"the tool's newest 50": request(pair, "get_messages", session_id=LARGE)}
    headers = {"Host": f"127.0.0.1:{pair.mcp_port}", **pair.headers("agent-0")}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    for name, query in PAGES.items():
        where = f"/api/sessions/{LARGE}/messages?" + query.format(middle=count // 2, rare=RARE)
        requests[name] = "\r\n".join([f"GET {where} HTTP/1.1", *lines, "", ""]).encode()
    return requests


async def in_turn(asked: list[tuple[Caller, bytes]], calls: int) -> list[list[float]]:
    """Milliseconds of each call, by whom it was asked of; the order turns with every call."""
    took: list[list[float]] = [[] for _ in asked]
    for caller, page in asked:
        await caller.call(page)
    turns = list(zip(asked, took, strict=True))
    for number in range(calls):
        for (caller, page), times in turns if number % 2 else reversed(turns):
            begin = time.perf_counter()
            await caller.call(page)
            times.append((time.perf_counter() - begin) * 1e3)
    return took
