"""How soon an agent that waits has what another one said: from the commit to the tool's result.

Two agents talk in turns over real HTTP, each waiting for the other with wait_for_messages alone;
`bench.node` notes when each message's COMMIT returned. Blocks of turns and of no-op calls take
turns in one run.
"""

import asyncio
import json
import time

from bench.calls import Caller, answered, callers, request
from bench.measured_pair import SESSION, bench_pair
from bench.row import Row, median, quantile
from tests.pair import Pair

MARGIN_MS = 5.0
TURNS = 10
WAIT_SECONDS = 10


async def measure(quick: bool) -> list[Row]:
    """Median and p99 of the hand-over against a no-op call."""
    blocks = 4 if quick else 40
    noops: list[float] = []
    heard: dict[int, int] = {}
    async with bench_pair() as pair, callers(pair, 3) as (first, second, other):
        await _converse(pair, first, second)  # warms up, and reads what there is
        await answered(other, request(pair, "commit_times", 3))
        noop = request(pair, "noop", 3)
        for _ in range(blocks):
            for _ in range(TURNS):
                begin = time.perf_counter()
                await other.call(noop)
                noops.append((time.perf_counter() - begin) * 1e3)
            heard |= await _converse(pair, first, second)
        times = (await answered(other, request(pair, "commit_times", 3)))["times"]
    committed = {id_: at for id_, at, _ in times}
    assert len(heard) == blocks * TURNS
    took = [(at - committed[id_]) / 1e6 for id_, at in heard.items()]
    ours, least = median(took), median(noops)
    return [
        Row(
            "hand-over, commit to the other agent's result, p50",
            ours,
            "ms",
            least,
            "no-op call",
            f"≤ no-op + {MARGIN_MS:.0f} ms",
            ours <= least + MARGIN_MS,
        ),
        Row(
            "hand-over, commit to the other agent's result, p99",
            quantile(took, 0.99),
            "ms",
            quantile(noops, 0.99),
            "no-op call",
        ),
    ]


async def _converse(pair: Pair, first: Caller, second: Caller) -> dict[int, int]:
    """A conversation of `TURNS`: when each message was heard, by id, on CLOCK_MONOTONIC."""
    heard: dict[int, int] = {}
    agents = [(first, 1), (second, 2)]
    for turn in range(TURNS):
        (speaker, name), (listener, other) = agents[turn % 2], agents[1 - turn % 2]
        wait = listener.call(
            request(
                pair,
                "wait_for_messages",
                other,
                session_id=SESSION,
                timeout_seconds=WAIT_SECONDS,
            )
        )
        said = f"turn {turn}"
        adding = asyncio.ensure_future(
            speaker.call(request(pair, "add_message", name, session_id=SESSION, content=said))
        )
        answer = await wait
        now = time.monotonic_ns()
        messages = json.loads(answer)["result"]["structuredContent"]["messages"]
        assert messages[-1]["content"] == said
        heard[messages[-1]["id"]] = now
        await adding
    return heard
