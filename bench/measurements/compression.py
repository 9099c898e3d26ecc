"""Compressed against plain viewers (WS_COMPRESSION=deflate): bytes, CPU time and deliveries/s.

One ws_node; two groups of viewers, of a session each, one of which negotiated permessage-deflate.
Both get the same number of realistic messages (`bench.sample_messages`) as fast as the slowest of
them takes them, in turns. Compressing costs CPU once for a message and saves bytes for each viewer,
so it is shown for both 100 and 1,000. Loopback takes a byte for almost nothing: a network does not.

A viewer inflates what it gets, which is not measured: raw sockets count bytes. How many make a
message is known, because ws_node's own function makes the frames beforehand.
"""

import asyncio
import itertools
import time
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import zmq

from bench.measured_pair import allow_open_files
from bench.partyline import Partyline
from bench.peers.interface import cpu_seconds
from bench.row import Row, median
from bench.sample_messages import messages
from bench.viewer_group import Viewers
from bench.viewers import connect, handshake
from proto import wire
from ws_node.rooms.framing import Framing, text_frame
from ws_node.rooms.outgoing import Outgoing

SIZES = (256, 1_024, 8_192)
UNDER_WAY_BYTES = 262_144
"""Before compression; well below what makes a viewer too slow."""

OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
PING_BYTES = 6


class ViewerGroup:
    """Viewers of a session of their own, and what is sent there."""

    def __init__(self, server: Partyline, framing: Framing, count: int, size: int) -> None:
        self._session = f"{framing.name[0]}-{count}-{size}"
        self._framing, self._size = framing, size
        _, self._endpoint, self._epoch = server.publishing
        pair = server.pair
        tokens = (pair.token(f"viewer-{number}") for number in range(count))
        requests = [handshake(pair.ws_port, self._session, token) for token in tokens]
        if framing is Framing.DEFLATED:
            requests = [request[:-2] + OFFER for request in requests]
        self.viewers = Viewers(connect(pair.ws_port, requests), message_bytes=1)
        self._ends = [0]

    def prepare(self, ids: Iterator[int], count: int) -> list[list[bytes]]:
        """So many messages for the bridge; from now on it is known how long each is."""
        prepared = []
        for message in messages(self._session, ids, count, self._size):
            event = wire.message_event(message, str(self._epoch))
            frame = Outgoing(event, text_frame(event.body)).framed(self._framing)
            self._ends.append(self._ends[-1] + len(frame))
            prepared.append(wire.encode(event))
        return prepared

    @property
    def wire_bytes(self) -> float:
        """Bytes for each delivery so far."""
        return self._ends[-1] / (len(self._ends) - 1)

    def flood(self, push: "zmq.Socket[Any]", prepared: list[list[bytes]]) -> float:
        """Send what was prepared; how long it took until every viewer had all of it."""
        window = max(8, UNDER_WAY_BYTES // self._size)
        before = len(self._ends) - 1 - len(prepared)
        begin, sent, had = time.perf_counter(), 0, 0
        while had < len(prepared):
            while sent < min(len(prepared), had + window):
                push.send_multipart(prepared[sent])
                sent += 1
            self.viewers.read(0.1)
            had = bisect_right(self._ends, self.viewers.slowest) - 1 - before
            if time.perf_counter() > begin + 30:
                raise TimeoutError(f"{len(prepared) - had} messages were not delivered")
        took = time.perf_counter() - begin
        self._check()
        return took

    def _check(self) -> None:
        """Every viewer has what was foreseen, and pings: or it got another framing."""
        more = self.viewers.deliveries - self._ends[-1] * self.viewers.count
        if more % PING_BYTES or not 0 <= more <= 3 * PING_BYTES * self.viewers.count:
            raise ValueError(f"{more} bytes more than foreseen")


async def measure(quick: bool) -> list[Row]:
    """Figures to inform: no bars."""
    allow_open_files()
    groups, turns = ((100,), 1) if quick else ((100, 1_000), 3)
    rows = []
    async with Partyline(WS_COMPRESSION="deflate") as server:
        with zmq.Context() as context, context.socket(zmq.PUSH) as push:
            push.connect(str(server.publishing[1]))
            ids = itertools.count(1)
            for viewers, size in itertools.product(groups, SIZES):
                rows += await asyncio.to_thread(_compare, server, push, ids, viewers, size, turns)
    return rows


def _compare(
    server: Partyline,
    push: "zmq.Socket[Any]",
    ids: Iterator[int],
    viewers: int,
    size: int,
    turns: int,
) -> list[Row]:
    """The rows of one size and number of viewers."""
    count = 2_000_000_000 // (viewers * (size + 2_000))  # half a second or so
    both = [
        ViewerGroup(server, framing, viewers, size)
        for framing in (Framing.DEFLATED, Framing.WEBSOCKET)
    ]
    rates: tuple[list[float], list[float]] = ([], [])
    costs: tuple[list[float], list[float]] = ([], [])
    for turn in range(turns + 1):
        for group, rate, cost in zip(both, rates, costs, strict=True):
            prepared = group.prepare(ids, count)
            used = cpu_seconds(server)
            took = group.flood(push, prepared)
            if turn:  # the first only warms up
                rate.append(count * viewers / took)
                cost.append((cpu_seconds(server) - used) / (count * viewers) * 1e6)
    for group in both:
        group.viewers.close()
    deflated, plain = both
    about = f"{viewers:,} viewers, {size:,} B"
    return [
        Row(
            f"compressed, {about}: bytes each", deflated.wire_bytes, "B", plain.wire_bytes, "plain"
        ),
        Row(f"compressed, {about}: CPU each", median(costs[0]), "µs", median(costs[1]), "plain"),
        Row(f"compressed, {about}: deliveries", median(rates[0]), "/s", median(rates[1]), "plain"),
    ]
