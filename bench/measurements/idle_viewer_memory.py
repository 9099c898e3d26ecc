"""Resident memory of ws_node per idle viewer, and how fast viewers connect.

Viewers are raw sockets, each with a token of its own (so each is an audience of its own, the
dearest case), a hundred to a session. The node's memory is read before, with one viewer that has
had a message, and afterwards twice: when all are connected, and after a round of pings. The
larger difference counts.
"""

import asyncio
import selectors
import socket
import time

from bench.calls import add_message, callers
from bench.measured_pair import SESSION, allow_open_files, bench_pair, resident_bytes
from bench.row import Row
from bench.viewers import answer_ping, connect, handshake
from tests.pair import Pair

VIEWERS = 10_000
VIEWERS_IN_A_SESSION = 100
SPARE_FILES = 200
BAR_KIB = 20.0
BAR_SECONDS = 15.0
PING_ROUND_SECONDS = 26.0
"""uvicorn pings each viewer every 20 s."""


async def measure(quick: bool) -> list[Row]:
    """KiB per viewer, and viewers/s while they connect."""
    count = min(500 if quick else VIEWERS, allow_open_files() - SPARE_FILES)
    async with bench_pair() as pair, callers(pair, 1) as (caller,):
        (first,) = connect(pair.ws_port, [_request(pair, 0)])
        await caller.call(add_message(pair))
        await asyncio.sleep(0.5)
        before = resident_bytes(pair.ws)
        requests = [_request(pair, number) for number in range(count)]
        begin = time.perf_counter()
        viewers = await asyncio.to_thread(connect, pair.ws_port, requests)
        took = time.perf_counter() - begin
        try:
            await asyncio.to_thread(_idle, viewers, 1.0)
            grown = [resident_bytes(pair.ws) - before]
            if not quick:
                await asyncio.to_thread(_idle, viewers, PING_ROUND_SECONDS)
                grown.append(resident_bytes(pair.ws) - before)
        finally:
            for viewer in (first, *viewers):
                viewer.close()
    each = max(grown) / count / 1024
    return [
        Row(
            f"memory per idle viewer, {count:,} viewers",
            each,
            "KiB",
            bar=f"≤ {BAR_KIB:.0f} KiB",
            met=each <= BAR_KIB,
        ),
        Row(
            f"connecting {count:,} viewers",
            took,
            "s",
            bar=f"≤ {BAR_SECONDS:.0f} s",
            met=took <= BAR_SECONDS,
        ),
    ]


def _request(pair: Pair, number: int) -> bytes:
    session = SESSION if number == 0 else f"{SESSION}-{number // VIEWERS_IN_A_SESSION}"
    return handshake(pair.ws_port, session, pair.token(f"viewer-{number}"))


def _idle(viewers: list[socket.socket], seconds: float) -> None:
    """Answer pings for a while; a viewer that is closed is an error."""
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for viewer in viewers:
            selector.register(viewer, selectors.EVENT_READ, viewer)
        while (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                received = key.data.recv(4_096)
                if not received or received[0] & 0x0F == 8:
                    raise ConnectionError(f"an idle viewer was closed: {received!r}")
                answer_ping(key.data, received)
