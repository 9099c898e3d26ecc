"""A peer that is a Python process of ours: the same bridge in, raw viewers out."""

import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]
import zmq

from bench.bridge import Bridge
from bench.child import Child
from bench.measured_pair import SESSION
from bench.viewer_group import Viewers
from bench.viewers import connect, handshake
from tests.node_process import reserved_port

NO_EPOCH = "bench"


class PullPeer:
    """``python -m module PORT ENDPOINT``, which serves viewers and sends them what it pulls."""

    name: str
    module: str

    async def __aenter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="pl-")
        self.endpoint = f"ipc://{Path(self._directory.name) / 'bridge.sock'}"
        self._ports = ExitStack()
        self.port = self._ports.enter_context(reserved_port())
        self._child = Child(self.module, self.port, self.endpoint)
        await self._child.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._child.__aexit__(None, None, None)
        self._ports.close()
        self._directory.cleanup()

    @property
    def publishing(self) -> tuple[object, ...]:
        return ("bridge", self.endpoint, NO_EPOCH)

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._child.pid)

    def connect(self, count: int) -> Viewers:
        return Viewers(connect(self.port, [handshake(self.port, SESSION, None)] * count))

    def publisher(self) -> Bridge:
        return Bridge(self.endpoint, NO_EPOCH)


class Pulled:
    """The bodies that come over a bound PULL socket, for an asyncio program.

    Its descriptor is watched, as ws_node does: ``zmq.asyncio`` would cost a peer more for each.
    """

    def __init__(self, endpoint: str) -> None:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
        self._socket.bind(endpoint)
        self._came = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._came.set)

    async def next(self) -> bytes:
        """The next message's body; waits for it."""
        while True:
            try:
                return bytes(self._socket.recv_multipart(zmq.NOBLOCK)[2])
            except zmq.Again:
                self._came.clear()
                if not int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN:
                    await self._came.wait()
