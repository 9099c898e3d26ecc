"""search_messages in a log of 1,000,000 messages, over REST, one keep-alive connection.

The texts are 40 words drawn (Zipf) from 50,000 made-up ones. Words are looked for as they are and
with one typing error (a letter wrong, missing, too many, or two swapped); "found" is the share of
mistyped words whose message is meant: one of the first ten results holds the right word. What is
hidden must cost nothing: `HUSHED` is in every message that the searcher may not see, and is
compared with a word that is nowhere. The index is built as the migration of an old log builds it.

What the index costs a writer shows in ``add_message_rate``.
"""

import asyncio
import json
import random
import sqlite3
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from urllib.parse import quote

from bench.calls import Caller
from bench.long_log import LARGE, write_log
from bench.measured_pair import bench_pair
from bench.row import Row, median, quantile
from mcp_node.log.sqlite.connection import JobConnection
from mcp_node.log.sqlite.schema import DATABASE
from mcp_node.search.index import index_everything
from proto import keyfile
from tests.pair import Pair

VOCABULARY = 50_000
HUSHED = "hushedword"
NOWHERE = "nowhereyet"
EXACT_MS, MISTYPED_MS = 10, 50


async def measure(quick: bool) -> list[Row]:
    """Medians and p99 of searches, the share found, and what the index takes."""
    count, calls = (50_000, 40) if quick else (1_000_000, 200)
    draw = random.Random(11)
    known = _words(draw)
    async with AsyncExitStack() as stack:
        pair = bench_pair(start=("mcp",))
        path = Path(keyfile.open_data_dir(pair.data_dir)) / DATABASE
        rows = await asyncio.to_thread(_make, path, count, known)
        await stack.enter_async_context(pair)
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(Caller, "127.0.0.1", pair.mcp_port)
        stack.callback(caller.close)
        asked = _Asked(pair, caller)
        sample = [known[int(VOCABULARY ** draw.random()) - 1] for _ in range(calls)]
        long = [word for word in known[50:20_000] if len(word) >= 6]
        meant = draw.choices(long, k=calls)
        await asked.search(sample[0])
        await asked.search(_mistyped(sample[0], draw))  # the vocabulary is loaded
        every, one = "1 M messages" if not quick else f"{count:,} messages", f"session_id={LARGE}"
        rows += _timed(f"search of {every}: a word", await asked.all(sample), EXACT_MS)
        pairs = [f"{a} {b}" for a, b in zip(sample, reversed(sample), strict=True)]
        rows += _timed(f"search of {every}: two words", await asked.all(pairs), EXACT_MS)
        rows += _timed("the same: a word in one session", await asked.all(sample, one), EXACT_MS)
        filters = "sender=agent-1&since=2020-01-01"
        rows += _timed("the same: a word by one sender", await asked.all(sample, filters), EXACT_MS)
        typed = [_mistyped(word, draw) for word in meant]
        answers: list[bytes] = []
        times = await asked.all(typed, answers=answers)
        rows += _timed(f"search of {every}: a mistyped word", times, MISTYPED_MS)
        rows += _timed(
            "the same: mistyped, in one session", await asked.all(typed, one), MISTYPED_MS
        )
        found = [
            word in str(json.loads(a)["results"][:10])
            for word, a in zip(meant, answers, strict=True)
        ]
        rows.append(Row("mistyped words found in the first ten", 100 * sum(found) / calls, "%"))
        rows.append(await _hidden(asked, calls))
    return rows


def _make(path: Path, count: int, known: Sequence[str]) -> list[Row]:
    """Write the log and index it: what that takes."""
    write_log(path, count, Texts(known))
    with closing(sqlite3.connect(path, isolation_level=None, factory=JobConnection)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        (before,) = connection.execute("PRAGMA page_count").fetchone()
        begin = time.perf_counter()
        connection.execute("BEGIN")
        index_everything(connection)
        connection.execute("COMMIT")
        took = time.perf_counter() - begin
        (after,) = connection.execute("PRAGMA page_count").fetchone()
    size = 4_096 / 2**20
    return [
        Row(
            f"index of {count:,} messages: size",
            (after - before) * size,
            "MiB",
            before * size,
            "log",
        ),
        Row("index built at once, for each message", took / count * 1e6, "µs"),
    ]


class _Asked:
    """Searches of one agent over one connection."""

    def __init__(self, pair: Pair, caller: Caller) -> None:
        headers = {"Host": f"127.0.0.1:{pair.mcp_port}", **pair.headers("searcher", kind="other")}
        self._lines = "\r\n".join(f"{name}: {value}" for name, value in headers.items())
        self._caller = caller

    async def search(self, query: str, more: str = "") -> bytes:
        """The answer to a search."""
        where = f"/api/search?q={quote(query)}&{more}"
        request = f"GET {where} HTTP/1.1\r\n{self._lines}\r\n\r\n".encode()
        return await self._caller.call(request)

    async def all(
        self, queries: Sequence[str], more: str = "", answers: list[bytes] | None = None
    ) -> list[float]:
        """Milliseconds of each search."""
        times = []
        for query in queries:
            begin = time.perf_counter()
            answer = await self.search(query, more)
            times.append((time.perf_counter() - begin) * 1e3)
            if answers is not None:
                answers.append(answer)
        return times


def _timed(name: str, times: list[float], bar: float) -> list[Row]:
    middle = median(times)
    return [
        Row(f"{name}, p50", middle, "ms", bar=f"≤ {bar} ms", met=middle <= bar),
        Row(f"{name}, p99", quantile(times, 0.99), "ms"),
    ]


async def _hidden(asked: _Asked, calls: int) -> Row:
    """A word of hidden messages against one that is nowhere, in turn."""
    times: dict[str, list[float]] = {HUSHED: [], NOWHERE: []}
    for _ in range(calls):
        for word, taken in times.items():
            taken += await asked.all([word])
    ours, reference = median(times[HUSHED]), median(times[NOWHERE])
    return Row(
        "a word that only hidden messages have, p50",
        ours,
        "ms",
        reference,
        "a word nowhere",
        "≤ 1.2 x",
        ours <= 1.2 * reference,
    )


def _words(draw: random.Random) -> list[str]:
    letters = "etaoinshrdlucmfwypvbgk"
    made: dict[str, None] = {}
    while len(made) < VOCABULARY:
        made["".join(draw.choices(letters, k=draw.randint(3, 10)))] = None
    return list(made)


class Texts:
    """Contents of 40 words, put together from stretches made once."""

    def __init__(self, known: Sequence[str]) -> None:
        self._draw = random.Random(5)
        self._stretches = [
            " ".join(known[int(VOCABULARY ** self._draw.random()) - 1] for _ in range(8))
            for _ in range(50_000)
        ]

    def __call__(self, id_: int, visibility: str) -> str:
        """The content of a message."""
        text = " ".join(self._draw.choices(self._stretches, k=5))
        return text if visibility == "public" else f"{HUSHED} {text}"


def _mistyped(word: str, draw: random.Random) -> str:
    """One letter wrong, missing or too many, or two swapped."""
    at = draw.randrange(1, len(word) - 1)
    letter = draw.choice("etaoinshrd")
    return draw.choice(
        (
            word[:at] + letter + word[at + 1 :],
            word[:at] + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
