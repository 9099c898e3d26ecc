"""Must hold 3: one viewer that stops reading while 999 others read.

1,000 viewers of one session, each with a token of its own, and 100 messages of 2 KiB a second
from a process of its own (`bench.steady`). Blocks of some seconds take turns in one run, A B B A:
in one kind all read; in the other the thousandth, who connects anew for each block, reads nothing
after its handshake until the block is over, and must then find that it was closed with 4000 before
the block's end.

The p99 is that of the deliveries to the other 999 in all blocks of a kind. ws_node's resident
memory is read 20 times a second: its peak from the first block with a stalled viewer on, against
its peak in the block before, where all read. The others stay connected throughout: those who come
and go leave garbage that is collected later, which is not what is measured here.
"""

import asyncio
import re
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.child import Child
from bench.measured_pair import SESSION, allow_open_files, resident_bytes
from bench.partyline import Partyline
from bench.row import Row
from bench.stalled import LastingViewers, SmallViewer
from bench.steady import SteadyLoad
from bench.viewer_group import quantile_ms
from bench.viewers import connect, handshake
from tests.clients import plain_client
from tests.pair import Pair
from ws_node.rooms.disconnect import Disconnect

RATE = 100
BODY_BYTES = 2_048
WARM_UP_SECONDS = 0.5
SLOWER = 1.10
MIB = 1_048_576
SPARE_MIB = 2.0
"""What resident memory may grow by for other reasons."""

SAMPLE_SECONDS = 0.05


@dataclass
class Block:
    """What one block found.

    Attributes:
        stalls: whether the thousandth viewer read nothing.
        latencies: of the others, as `Viewers.latencies`.
        share: per cent of the others' messages that came.
        peak: most resident bytes of ws_node.
        closed: viewers that ws_node closed as slow meanwhile.
        code: the close code that the thousandth found; 0: none.
        written: share of the messages that it was sent.
    """

    stalls: bool
    latencies: Counter[int]
    share: float
    peak: int
    closed: int
    code: int
    written: float

    @property
    def right(self) -> bool:
        """Whether the thousandth viewer fared as it should."""
        if self.stalls:
            return self.closed == 1 and self.code == Disconnect.SLOW.code and self.written < 1
        return self.closed == 0 and self.code == 0 and self.written == 1

    @property
    def p99(self) -> float:
        """Of the others, in milliseconds."""
        return quantile_ms(self.latencies, 0.99)


async def measure(quick: bool) -> list[Row]:
    """p99 of those who read, with a stalled viewer among them against without; memory."""
    allow_open_files()
    count, blocks, seconds = (100, 2, 4.0) if quick else (1_000, 8, 8.0)
    unsent = 65_536 if quick else MIB // 2
    async with (
        Partyline(MAX_UNSENT_BYTES=unsent) as ours,
        Child("bench.publishing", *ours.publishing, BODY_BYTES) as pusher,
    ):
        port = ours.pair.ws_port
        last, *requests = [
            handshake(port, SESSION, ours.pair.token(f"viewer-{number}")) for number in range(count)
        ]
        others = await asyncio.to_thread(connect, port, requests)
        try:
            load = _Blocks(ours, pusher, others, last, round(seconds * RATE))
            await load.run(stalls=False)  # warms up
            found = [await load.run(stalls=block % 4 in (1, 2)) for block in range(blocks)]
        finally:
            for each in others:
                each.close()
    return _rows(f"{count:,} viewers x {RATE} msg/s, one stalled", found, 4 * unsent / MIB)


class _Blocks:
    """What is the same for each block: who takes part, and how many messages."""

    def __init__(
        self,
        ours: Partyline,
        pusher: Child,
        others: Sequence[socket.socket],
        last: bytes,
        messages: int,
    ) -> None:
        self._ours = ours
        self._pusher = pusher
        self._others = others
        self._last = last
        self._messages = messages

    async def run(self, *, stalls: bool) -> Block:
        """One block: the last viewer connects, messages are sent; what came."""
        port = self._ours.pair.ws_port
        before = await _slow_viewers(self._ours.pair)
        viewers = LastingViewers(self._others, BODY_BYTES + 4)  # counts from nothing
        small = await asyncio.to_thread(SmallViewer, port, self._last)
        try:
            return await self._seen(viewers, small, before, stalls=stalls)
        finally:
            small.close()

    async def _seen(
        self, viewers: LastingViewers, small: SmallViewer, before: int, *, stalls: bool
    ) -> Block:
        pair = self._ours.pair
        load = SteadyLoad(self._ours, viewers, self._pusher)
        running = asyncio.create_task(load.run(self._messages, RATE))
        peak = 0
        while not running.done():
            if not stalls:
                small.take()
            peak = max(peak, resident_bytes(pair.ws))
            await asyncio.sleep(SAMPLE_SECONDS)
        if not await running:
            raise TimeoutError(f"only {load.share} % of the others' messages came")
        closed = await _slow_viewers(pair) - before
        if closed:
            await asyncio.to_thread(small.read_on, 5.0)
        elif not stalls:
            small.take()
        peak = max(peak, resident_bytes(pair.ws))
        written = small.messages[BODY_BYTES] / self._messages
        latencies = await load.latencies(round(WARM_UP_SECONDS * RATE))
        return Block(stalls, latencies, load.share, peak, closed, small.code, written)


async def _slow_viewers(pair: Pair) -> int:
    """How many viewers ws_node has closed as slow."""
    async with plain_client(headers=pair.headers("root", scopes="read,admin")) as client:
        answer = await client.get(f"{pair.ws_url}/metrics")
    found = re.search(r"^partyline_slow_viewers_total ([0-9.]+)$", answer.text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no count of slow viewers: {answer.status_code}")
    return int(float(found[1]))


def _rows(name: str, found: list[Block], held_mib: float) -> list[Row]:
    stalled = [block for block in found if block.stalls]
    calm = [block for block in found if not block.stalls]
    pooled = {block.stalls: Counter[int]() for block in found}
    for block in found:
        pooled[block.stalls].update(block.latencies)
    half, tail = (
        (quantile_ms(pooled[True], share), quantile_ms(pooled[False], share))
        for share in (0.5, 0.99)
    )
    delivered = min(block.share for block in found)
    right = sum(block.right for block in stalled)
    calm_right = all(block.right for block in calm)
    first = found.index(stalled[0])
    peak = max(block.peak for block in found[first:]) / MIB
    reference = found[first - 1].peak / MIB
    growth = held_mib + SPARE_MIB
    return [
        Row(
            f"{name}: p99 of the others",
            tail[0],
            "ms",
            tail[1],
            "all read",
            f"≤ {SLOWER:.2f} x",
            tail[0] <= tail[1] * SLOWER,
        ),
        Row(f"{name}: p50 of the others", half[0], "ms", half[1], "all read"),
        Row(
            f"{name}: lowest p99 of a block",
            min(block.p99 for block in stalled),
            "ms",
            min(block.p99 for block in calm),
            "all read",
        ),
        Row(
            f"{name}: highest p99 of a block",
            max(block.p99 for block in stalled),
            "ms",
            max(block.p99 for block in calm),
            "all read",
        ),
        Row(f"{name}: delivered to the others", delivered, "%", bar="100 %", met=delivered == 100),
        Row(
            f"{name}: closed with 4000 in its block",
            right,
            f"of {len(stalled)}",
            bar="all, and none where all read",
            met=right == len(stalled) and calm_right,
        ),
        Row(
            f"{name}: sent to it before, latest",
            max(block.written for block in stalled) * 100,
            "%",
        ),
        Row(
            f"{name}: peak memory of ws_node",
            peak,
            "MiB",
            reference,
            "all read",
            f"≤ + {growth:.0f} MiB",
            peak - reference <= growth,
        ),
    ]
