"""What rooms cost: 1,000 rooms with one viewer each against one room with 1,000 viewers.

In every round each viewer gets one message, and the next round begins when all have it: one
message on the bridge for the one room, 1,000 for the 1,000 rooms. CPU time of ws_node per
delivery, in turns on one node; viewers have tokens of their own. A delivery in the 1,000 rooms
contains taking a message off the bridge; what that alone costs is the third figure, from messages
to as many sessions that nobody watches.
"""

import asyncio
from functools import partial

from bench.bridge import Bridge
from bench.lockstep import cost
from bench.measured_pair import SESSION, allow_open_files
from bench.partyline import Partyline
from bench.peers.interface import cpu_seconds
from bench.row import Row, median

BOUND = 1.5


async def measure(quick: bool) -> list[Row]:
    """CPU microseconds per delivery, both ways."""
    allow_open_files()
    count, turns, rounds = (100, 2, 50) if quick else (1_000, 5, 60)
    sessions = tuple(f"room-{number}" for number in range(count))
    async with Partyline() as ours:
        bridge = ours.publisher()
        many = await asyncio.to_thread(ours.connect, count, sessions)
        one = await asyncio.to_thread(ours.connect, count, (SESSION,))
        found: list[list[float]] = [[], []]
        for turn in range(turns + 1):
            stands = ((many, sessions), (one, (SESSION,)))
            for (viewers, rooms), costs in zip(stands, found, strict=True):
                measured = partial(cost, ours, viewers, partial(_send, bridge, rooms), rounds)
                each = await asyncio.to_thread(measured)
                if turn:  # the first only warms up
                    costs.append(each)
        unwatched = tuple(f"empty-{number}" for number in range(count))
        used = cpu_seconds(ours)
        for _ in range(rounds):
            await asyncio.to_thread(_send, bridge, unwatched)
        await asyncio.to_thread(cost, ours, one, bridge.send, 1)  # it comes after them all
        taking = (cpu_seconds(ours) - used) / (rounds * count) * 1e6
        for viewers in (many, one):
            viewers.close()
        bridge.close()
    ratio = median([a / b for a, b in zip(*found, strict=True)])
    value = median(found[0])
    name = f"CPU per delivery, {count:,} rooms x 1 viewer"
    against = f"1 room x {count:,}"
    return [
        Row(name, value, "µs", value / ratio, against, f"≤ {BOUND} x", ratio <= BOUND),
        Row("CPU to take a message nobody watches off the bridge", taking, "µs"),
    ]


def _send(bridge: Bridge, sessions: tuple[str, ...]) -> None:
    for session in sessions:
        bridge.send(session_id=session)
