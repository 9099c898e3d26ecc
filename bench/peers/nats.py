"""nats-server: viewers on its WebSocket listener, the publisher on its TCP port.

Viewers are raw sockets that subscribe by hand. What they get is a stream of ``MSG`` lines with
payloads of the same size as ours, in frames that hold as many as were waiting, so frames are read
by their headers. A publisher sends ``PUB`` lines, without asking for acknowledgements.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]

from bench.bridge import BODY_BYTES
from bench.measured_pair import SESSION
from bench.peers.interface import Missing
from bench.viewer_group import Viewers
from bench.viewers import connect, handshake, split
from tests.node_process import reserved_port
from tests.waiting import until

CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1"}\r\n'
MESSAGE_BYTES = len(f"MSG {SESSION} 1 {BODY_BYTES}\r\n\r\n") + BODY_BYTES


class Nats:
    """The peer."""

    name = "nats-server"

    async def __aenter__(self) -> Self:
        command = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if command is None:
            raise Missing("nats-server is not installed (Debian: apt install nats-server)")
        self._ports = ExitStack()
        self._directory = tempfile.TemporaryDirectory(prefix="pl-")
        self.port = self._ports.enter_context(reserved_port())
        self.web_port = self._ports.enter_context(reserved_port())
        file = Path(self._directory.name) / "nats.conf"
        file.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'websocket {{ listen: "127.0.0.1:{self.web_port}", no_tls: true }}\n'
        )
        self._process = _spawn([command, "-c", str(file)])
        try:
            await until(lambda: _listens(self.port) and _listens(self.web_port))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        self._ports.close()
        self._directory.cleanup()

    @property
    def publishing(self) -> tuple[object, ...]:
        return ("nats", self.port)

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    def connect(self, count: int) -> "NatsViewers":
        viewers = connect(self.web_port, [handshake(self.web_port, "", None)] * count)
        asking = _masked(CONNECT + b"SUB %b 1\r\n" % SESSION.encode())
        for viewer in viewers:
            viewer.sendall(asking)
        for viewer in viewers:
            _await_ping(viewer)
        return NatsViewers(viewers)

    def publisher(self) -> "NatsPublisher":
        return NatsPublisher(self.port)


class NatsPublisher:
    """A TCP client that publishes."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(CONNECT)
        body = b"." * BODY_BYTES
        self._line = b"PUB %b %d\r\n%b\r\n" % (SESSION.encode(), BODY_BYTES, body)

    def send(self) -> int:
        now = time.monotonic_ns()
        self._socket.sendall(self._line)
        self.sent += 1
        return now

    def burst(self, count: int) -> None:
        self._socket.sendall(self._line * count)
        self.sent += count

    def close(self) -> None:
        self._socket.close()


class NatsViewers(Viewers):
    """Viewers of nats-server."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        super().__init__(sockets, MESSAGE_BYTES)
        self._left = dict.fromkeys(self._sockets, 0)
        self._begun = dict.fromkeys(self._sockets, b"")

    def _useful(self, number: int, chunk: memoryview) -> int:
        """Bytes of payload; remembers where in a frame the viewer is."""
        at, left, useful, end = 0, self._left[number], 0, len(chunk)
        if begun := self._begun[number]:
            chunk = memoryview(begun + chunk)
            end = len(chunk)
            self._begun[number] = b""
        while at < end:
            if left:
                taken = min(left, end - at)
                at, left, useful = at + taken, left - taken, useful + taken
                continue
            head = bytes(chunk[at : at + 10])
            short = head[1] if len(head) > 1 else 0
            size = 2 + {126: 2, 127: 8}.get(short, 0)
            if len(head) < size:
                self._begun[number] = head
                break
            left = int.from_bytes(head[2:size], "big") if size > 2 else short
            at += size
        self._left[number] = left
        return useful


def _await_ping(viewer: socket.socket) -> None:
    """Wait for the server's first PING, two seconds after connecting: the next is minutes away."""
    received, text = bytearray(), b""
    while not text.endswith(b"PING\r\n"):
        received += viewer.recv(65_536)
        text += b"".join(payload for _, payload in split(received))
        if b"-ERR" in text:
            raise ConnectionError(f"nats-server refused a viewer: {text!r}")
    viewer.sendall(_masked(b"PONG\r\n"))


def _masked(payload: bytes) -> bytes:
    """A binary frame from a client (masked with zeros)."""
    size = len(payload)
    head = bytes((0x82, 0x80 | size)) if size < 126 else b"\x82\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + payload


def _spawn(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
