"""Viewers of a ws_node with two workers, of which each has some."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.pair import Pair
from tests.waiting import until

VIEWERS = 24
"""That all of them come to one worker happens once in eight million times."""


async def viewers_of_workers(pair: Pair) -> list[float]:
    """How many viewers each worker has."""
    async with pair.rest() as client:
        text = (await client.get(f"{pair.ws_url}/metrics")).text
    found = [line for line in text.splitlines() if line.startswith("partyline_viewers{")]
    return [float(line.split()[1]) for line in found]


@contextlib.asynccontextmanager
async def viewers_of_both(pair: Pair, name: str, query: str = "") -> AsyncIterator[list[Any]]:
    """`VIEWERS` viewers of a session; they connect again if one worker was still starting."""

    async def counted() -> list[float] | None:
        counts = await viewers_of_workers(pair)
        return counts if len(counts) == 2 and sum(counts) == VIEWERS else None

    for _ in range(5):
        async with contextlib.AsyncExitStack() as stack:
            viewers = [
                await stack.enter_async_context(pair.viewer(name, query=query))
                for _ in range(VIEWERS)
            ]
            if all(await until(counted)):
                yield viewers
                return
    raise AssertionError("all viewers came to one worker")
