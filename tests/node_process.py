"""One of the two nodes as a process: started, asked whether it is ready, stopped, killed."""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from serving.process.address import Name, running_url
from tests import forkserver
from tests.clients import UNANSWERED, plain_client
from tests.waiting import START_SECONDS, STOP_SECONDS, until


@contextlib.contextmanager
def reserved_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port that the kernel gives to nobody else; who is told its number may listen there.

    On Linux a socket that is bound but does not listen is in nobody's way.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, 0))
        yield int(held.getsockname()[1])


class Node:
    """One of the two processes."""

    def __init__(self, name: Name, environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.module = f"{name}_node"
        self.environment = environment
        self.log = log
        self.process: forkserver.Process | None = None
        self._setting = f"PARTYLINE_{name.upper()}_PORT"
        self._last_port = int(environment[self._setting])
        self._held: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port it got, as it tells; while it is away, the one it had."""
        url = running_url(Path(self.environment["PARTYLINE_DATA_DIR"]), self.name)
        if url is not None:
            self._last_port = urlsplit(url).port or 0
        return self._last_port

    @property
    def url(self) -> str:
        """Where it answers."""
        assert self.port, f"{self.module} has not been started"
        return f"http://127.0.0.1:{self.port}"

    def spawn(self) -> None:
        """Start the process without waiting for it; a second time on the port of the first."""
        with self.log.open("ab") as output:
            self.process = forkserver.start(
                self.module,
                env=self.environment | {self._setting: str(self._last_port)},
                stdout=output.fileno(),
                stderr=output.fileno(),
            )

    async def start(self) -> None:
        """Start the process and wait until it answers."""
        self.spawn()
        await self.answers()

    async def answers(self) -> None:
        """Wait until /readyz answers 200."""

        async def ready() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"{self.module} exited:\n{self.log.read_text()}")
            if not self.port:
                return False
            async with plain_client() as client:
                try:
                    return (await client.get(f"{self.url}/readyz")).status_code == 200
                except UNANSWERED:
                    return False

        await until(ready, within=START_SECONDS, every=0.05)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self.process is not None
        port = self.port
        self.process.kill()
        self.process.wait()
        self._hold(port)

    async def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Ask it to stop; its exit code and how many seconds that took."""
        assert self.process is not None
        port = self.port
        begin = time.monotonic()
        self.process.send_signal(number)
        code = await asyncio.to_thread(self.process.wait, STOP_SECONDS)
        seconds = time.monotonic() - begin
        self._hold(port)
        return code, seconds

    def end(self) -> None:
        """Make sure it is gone, however."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._held is not None:
            self._held.close()
            self._held = None

    def _hold(self, port: int) -> None:
        """Keep the port while the node is away, so that nobody else is given it.

        On Linux a socket that is bound but does not listen is not in the node's way. Workers
        outlive their killed supervisor for a moment.
        """
        if self._held is not None or not port or sys.platform != "linux":
            return
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        end = time.monotonic() + STOP_SECONDS
        while True:
            try:
                self._held.bind(("127.0.0.1", port))
                return
            except OSError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.01)

    def output(self) -> str:
        """Everything it has printed."""
        return self.log.read_text() if self.log.exists() else ""
