"""The balancer: passes each connection on to a node that answers.

It listens on loopback only: to a node, whoever comes through it is a caller on this machine.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from mcp_node.commands.cluster.routing import Kind, preferred, route
from mcp_node.commands.up import ready
from serving.process.address import running_url

MAX_HEAD_BYTES: Final = 65_536
HEAD_SECONDS: Final = 10.0
"""How long the head of a request may take."""

CONNECT_SECONDS: Final = 2.0
CHECK_SECONDS: Final = 1.0
"""Pause between two questions of whether a node is ready, and how long the answer may take."""

_CHUNK: Final = 65_536
_NOBODY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 17\r\n\r\nno node answers.\n"
)

Node = tuple[Kind, int]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Balancer:
    """Serves until it is cancelled.

    Args:
        pairs: the data directories of the pairs, where their nodes' addresses are.
    """

    def __init__(self, pairs: Sequence[Path]) -> None:
        self._pairs = pairs
        self._silent: set[Node] = set()
        """Nodes that were not ready when they were last asked."""
        self._open: dict[Node, int] = {}
        """Open connections, by node."""
        self._passing: set[asyncio.Task[None]] = set()

    async def serve(self, bound: socket.socket) -> None:
        """Accept connections on a socket that listens, and check the nodes.

        On cancellation all connections are closed.
        """
        server = await asyncio.start_server(self._begin, sock=bound, limit=MAX_HEAD_BYTES)
        try:
            await self._check_for_ever()
        finally:
            server.close()
            for task in self._passing:
                task.cancel()
            await asyncio.gather(*self._passing, return_exceptions=True)

    async def _check_for_ever(self) -> None:
        kinds: tuple[Kind, ...] = ("mcp", "ws")
        nodes = [(kind, number) for kind in kinds for number in range(len(self._pairs))]
        async with httpx.AsyncClient(timeout=CHECK_SECONDS, trust_env=False) as client:
            while True:
                answers = await asyncio.gather(*(self._ready(client, node) for node in nodes))
                self._silent = {
                    node for node, answer in zip(nodes, answers, strict=True) if not answer
                }
                await asyncio.sleep(CHECK_SECONDS)

    async def _ready(self, client: httpx.AsyncClient, node: Node) -> bool:
        url = self._url(node)
        return url is not None and await ready(client, url)

    def _url(self, node: Node) -> str | None:
        kind, number = node
        return running_url(self._pairs[number], kind)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass_on(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                async with asyncio.timeout(HEAD_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
            except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                return
            chosen = route(head)
            for node in self._order(chosen.kind, chosen.key):
                streams = await self._connect(node)
                if streams is not None:
                    with self._counted(node), contextlib.closing(streams[1]):
                        streams[1].write(chosen.head)
                        await _exchange((reader, writer), streams)
                    return
            writer.write(_NOBODY)

    def _order(self, kind: Kind, key: bytes) -> list[Node]:
        """The nodes of a kind, the one to try first first."""
        nodes: list[Node] = [(kind, number) for number in preferred(key, len(self._pairs))]
        if kind == "ws":
            nodes.sort(key=lambda node: self._open.get(node, 0))
        return sorted(nodes, key=lambda node: node in self._silent)

    async def _connect(self, node: Node) -> Streams | None:
        url = self._url(node)
        if url is None:
            return None
        host = urlsplit(url)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection(host.hostname, host.port)
        return None

    @contextlib.contextmanager
    def _counted(self, node: Node) -> Iterator[None]:
        self._open[node] = self._open.get(node, 0) + 1
        try:
            yield
        finally:
            self._open[node] -= 1


async def _exchange(client: Streams, node: Streams) -> None:
    """Copy both ways until either side has ended; what the node has sent is then on its way."""
    copying = {
        asyncio.create_task(_copy(client[0], node[1])),
        asyncio.create_task(_copy(node[0], client[1])),
    }
    try:
        await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in copying:
            task.cancel()
        await asyncio.gather(*copying, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
