"""CPU time per delivery with one message per drain, against the floor: a bare ``send`` each.

1,000 viewers; a message goes out when all have the one before (`bench.lockstep`). ws_node and the
process that only sends take turns in one run; the ratio is the median of the turns. Both get their
messages over the same ZeroMQ bridge.
"""

import asyncio
from functools import partial

from bench.lockstep import cost
from bench.measured_pair import allow_open_files
from bench.partyline import Partyline
from bench.peers.raw_send import RawSend
from bench.row import Row, median

BOUND = 2.0


async def measure(quick: bool) -> list[Row]:
    """CPU microseconds per delivery, ours and the floor's."""
    allow_open_files()
    count, turns, rounds = (200, 2, 100) if quick else (1_000, 6, 100)
    async with Partyline() as ours, RawSend() as floor:
        costs: list[list[float]] = [[], []]
        stands = []
        for server in (ours, floor):
            viewers = await asyncio.to_thread(server.connect, count)
            stands.append((server, viewers, server.publisher()))
        for turn in range(turns + 1):
            for (server, viewers, publisher), found in zip(stands, costs, strict=True):
                measured = partial(cost, server, viewers, publisher.send, rounds)
                each = await asyncio.to_thread(measured)
                if turn:  # the first only warms up
                    found.append(each)
        for _, viewers, publisher in stands:
            viewers.close()
            publisher.close()
    ratio = median([a / b for a, b in zip(*costs, strict=True)])
    value = median(costs[0])
    return [
        Row(
            f"CPU per delivery, one message per drain, {count:,} viewers",
            value,
            "µs",
            value / ratio,
            RawSend.name,
            f"≤ {BOUND:.0f} x",
            ratio <= BOUND,
        )
    ]
