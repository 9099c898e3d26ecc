"""Agents that wait, many at once, over raw sockets: what came to each, and when."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from bench.calls import request
from bench.measured_pair import SESSION
from tests.pair import Pair

_RESULT = re.compile(rb'"structuredContent":(?=.*"outcome":"(\w+)")', re.DOTALL)
_ID = re.compile(rb'"id":(\d+),"sender"')


class Waiter(asyncio.Protocol):
    """One call of wait_for_messages, as JSON or (after 15 s) as an event stream.

    Attributes:
        outcome: resolves to the outcome the tool gave.
        at: when it came, CLOCK_MONOTONIC in nanoseconds.
    """

    def __init__(self) -> None:
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.at = 0
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        found = _RESULT.search(self._received)
        if found and not self.outcome.done():
            self.at = time.monotonic_ns()
            self.outcome.set_result(found[1].decode())

    def ids(self) -> list[int]:
        """Ids of the messages in the result, as they came."""
        found = _RESULT.search(self._received)
        assert found is not None
        return [int(id_) for id_ in _ID.findall(bytes(self._received[found.end() :]))]

    def send(self, call: bytes) -> None:
        """Begin to wait."""
        assert self._transport is not None
        self._transport.write(call)

    def close(self) -> None:
        """Go away."""
        self.outcome.cancel()
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def waiters(
    pair: Pair, count: int, seconds: int, *, first: int = 1_000, after: int | None = None
) -> AsyncIterator[list[Waiter]]:
    """So many agents that wait in the bench's session, each a principal of its own.

    Their numbers begin with ``first``. They wait for messages after an id, else for unread ones.
    """
    loop = asyncio.get_running_loop()
    made = []
    for number in range(count):
        _, waiter = await loop.create_connection(Waiter, "127.0.0.1", pair.mcp_port)
        waiter.send(
            request(
                pair,
                "wait_for_messages",
                first + number,
                session_id=SESSION,
                timeout_seconds=seconds,
                after=after,
            )
        )
        made.append(waiter)
    try:
        yield made
    finally:
        for waiter in made:
            waiter.close()
