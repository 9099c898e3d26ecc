"""Our own servers under the same load as the peers: both real nodes, the bench on the bridge."""

import asyncio
import json
from typing import Any, Self

import psutil  # type: ignore[import-untyped]

from bench.bridge import Bridge
from bench.calls import callers, request
from bench.measured_pair import SESSION, bench_pair, process
from bench.viewer_group import Viewers
from bench.viewers import connect, handshake, split
from proto import endpoints


class Partyline:
    """ws_node behind a bridge that the bench writes to; mcp_node runs too, for history.

    Args:
        shared: whether all viewers have one token (one audience) or each has its own.
        settings: of the nodes.
    """

    name = "ws_node"

    def __init__(self, *, shared: bool = False, **settings: Any) -> None:
        self.pair = bench_pair(**settings)
        self._shared = shared

    async def __aenter__(self) -> Self:
        await self.pair.__aenter__()
        try:
            async with callers(self.pair, 1) as (caller,):
                await caller.call(request(self.pair, "reach"))
            self._epoch = await asyncio.to_thread(self._told_epoch)
            self.endpoint = endpoints.bridge_endpoint(self.pair.data_dir, "")
        except BaseException:
            await self.pair.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.pair.__aexit__(None, None, None)

    @property
    def publishing(self) -> tuple[object, ...]:
        return ("bridge", self.endpoint, self._epoch)

    @property
    def process(self) -> psutil.Process:
        return process(self.pair.ws)

    def connect(self, count: int, sessions: tuple[str, ...] = (SESSION,)) -> Viewers:
        """So many viewers, spread over the sessions in turn."""
        port = self.pair.ws_port
        tokens = ["viewer" if self._shared else f"viewer-{number}" for number in range(count)]
        requests = [
            handshake(port, sessions[number % len(sessions)], self.pair.token(name))
            for number, name in enumerate(tokens)
        ]
        return Viewers(connect(port, requests))

    def publisher(self) -> Bridge:
        return Bridge(self.endpoint, self._epoch)

    def _told_epoch(self) -> str:
        """The log's epoch, as a viewer that subscribes is told."""
        port = self.pair.ws_port
        asking = handshake(port, f"{SESSION}?since=0", self.pair.token("asking"))
        (viewer,) = connect(port, [asking])
        with viewer:
            received = bytearray()
            while not (frames := list(split(received))):
                received += viewer.recv(4_096)
        return str(json.loads(frames[0][1])["epoch"])
