"""``python -m bench.store_load DIRECTORY [ADDRESS SCHEMA]``: a process that adds messages.

No tools and no HTTP. For every line of its input, a number of callers and of seconds, the callers
add messages of 256 characters over `SESSIONS` sessions, each waiting for its own. It reports how
many, in how many seconds, and for PostgreSQL where the time of the transactions went.
"""

import asyncio
import sys
import time
from itertools import count
from pathlib import Path

import msgspec
import uvloop

from bench.batch_times import BatchTimes
from bench.child import READY, report
from mcp_node.log.interface import Database
from mcp_node.sessions.new import NewMessage, NewSession
from mcp_node.sessions.operations import AppendMessage, CreateSession
from mcp_node.storage import open_store
from proto.messages import Audience, Visibility, encode_metadata
from proto.settings import Settings

SESSIONS = 20

_AUTHOR = Audience("bench", "bench")
_EMPTY = encode_metadata(None)


async def main(directory: str, address: str | None = None, schema: str = "bench") -> None:
    """Open the database, and add messages whenever a line is read; end with the input."""
    path, times = Path(directory), BatchTimes()
    times.install()
    settings = Settings(data_dir=path, messages_per_minute=0, store=address, store_schema=schema)
    store = await open_store(path, settings)
    try:
        for number in range(SESSIONS):
            session = NewSession(f"s{number}", "bench", _EMPTY, "bench")
            await store.write(CreateSession(session, None))
        report(READY)
        while line := await asyncio.to_thread(sys.stdin.readline):
            callers, seconds = line.split()
            before = msgspec.structs.astuple(times)
            messages, took = await _add_messages(store, int(callers), float(seconds))
            spent = [b - a for a, b in zip(before, msgspec.structs.astuple(times), strict=True)]
            report([messages, took, spent])
    finally:
        await store.close()


async def _add_messages(store: Database, callers: int, seconds: float) -> tuple[int, float]:
    """How many messages so many callers added, in how many seconds."""
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
    return next(numbers), time.monotonic() - begin


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
