"""The real pair of processes, on ports and in a directory of its own, for tests and bench.

::

    async with Pair(tmp_path) as pair:                  # both nodes, ready
        async with pair.agent("alice") as agent: ...    # an MCP client with a token
        async with pair.viewer("room") as socket: ...   # a WebSocket client

Nodes can be started, killed and restarted one by one; waiting is always for a condition.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import websockets
from fastmcp import Client

from proto import keyfile
from proto.tokens import sign_principal
from serving.peers.clients import mcp_socket, ws_socket
from serving.peers.local import LOCAL_URL, LocalTransport
from serving.process.address import Name, running_url
from tests import forkserver

# All of these are long, for a machine that is busy with something else. They must be well below
# the timeout of a test (pyproject.toml), so that what waits fails and cleans up by itself.
START_SECONDS = 90.0
STOP_SECONDS = 20.0
PATIENCE = 30.0
"""For what takes well below a second on an idle machine."""

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Both nodes speak plain HTTP; without this every client loads all CAs, 25 ms of a core."""

UNANSWERED = (httpx.HTTPError, AttributeError)
"""What a client raises when a node dies under it; the second while it connects, with uvloop."""


def plain_client(**options: Any) -> httpx.AsyncClient:
    """An HTTP client for a node, cheap to make: no proxies, no certificates."""
    return httpx.AsyncClient(trust_env=False, verify=_NO_TLS, **{"timeout": PATIENCE, **options})


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


async def until(
    condition: Callable[[], Any], *, within: float = PATIENCE, every: float = 0.02
) -> Any:
    """What ``condition`` returns, once it is true (it may be a coroutine function).

    Raises:
        TimeoutError: it stayed false.
    """
    end = time.monotonic() + within
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError(f"still not true after {within} s")
        await asyncio.sleep(every)


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


def _variables(settings: dict[str, Any]) -> dict[str, str]:
    return {f"PARTYLINE_{name}": str(value) for name, value in settings.items()}


class Pair:
    """Both nodes.

    Args:
        directory: an own one; the data directory is made in it.
        auth: ``token`` or ``off``.
        start: which nodes to start on entry.
        mcp_settings, ws_settings: more settings of one node alone.
        settings: more settings, such as ``BRIDGE="http"``, without the prefix.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        auth: str = "token",
        start: tuple[str, ...] = ("mcp", "ws"),
        mcp_settings: dict[str, Any] | None = None,
        ws_settings: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self._own = None if directory else tempfile.TemporaryDirectory(prefix="pl-")
        base = directory or Path(self._own.name if self._own else ".")
        base.mkdir(parents=True, exist_ok=True)
        self.data_dir = base / "data"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PARTYLINE_")}
        environment |= {
            "PARTYLINE_DATA_DIR": str(self.data_dir),
            "PARTYLINE_MCP_PORT": "0",
            "PARTYLINE_WS_PORT": "0",
            "PARTYLINE_AUTH": auth,
            "PARTYLINE_FAILED_TOKEN_SECONDS": "0",  # tests fail on purpose, often
        }
        environment |= _variables(settings)
        self.environment = environment
        self.auth = auth
        for_mcp = environment | _variables(mcp_settings or {})
        for_ws = environment | _variables(ws_settings or {})
        self.mcp = Node("mcp", for_mcp, base / "mcp.log")
        self.ws = Node("ws", for_ws, base / "ws.log")
        self._start = start

    @property
    def mcp_port(self) -> int:
        """The port mcp_node got; 0 before its first start."""
        return self.mcp.port

    @property
    def ws_port(self) -> int:
        """The port ws_node got; 0 before its first start."""
        return self.ws.port

    @property
    def mcp_url(self) -> str:
        """Base URL of mcp_node."""
        return self.mcp.url

    @property
    def ws_url(self) -> str:
        """Base URL of ws_node."""
        return self.ws.url

    async def __aenter__(self) -> Self:
        """Start what is to be started; ws_node only counts once it follows the log."""
        try:
            async with asyncio.timeout(START_SECONDS):  # before pytest's own time is up
                for node in self._nodes():
                    node.spawn()
                for node in self._nodes():
                    await node.answers()
                if set(self._start) == {"mcp", "ws"}:
                    await until(self.joined, within=START_SECONDS, every=0.05)
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End both."""
        if error is not None:
            print(f"--- mcp_node\n{self.mcp.output()}\n--- ws_node\n{self.ws.output()}")
        await asyncio.to_thread(self._end)

    def _nodes(self) -> list[Node]:
        return [getattr(self, name) for name in self._start]

    def _end(self) -> None:
        for node in (self.ws, self.mcp):
            node.end()
        if self._own is not None:
            self._own.cleanup()

    async def joined(self) -> bool:
        """Whether ws_node follows the log and the bridge is up."""
        async with plain_client() as client:
            try:
                ws = (await client.get(f"{self.ws_url}/readyz")).json()
                mcp = (await client.get(f"{self.mcp_url}/readyz")).json()
            except UNANSWERED:
                return False
        bridged = mcp["bridge"] == "connected"
        return ws["status"] == "ready" and (
            bridged or self.mcp.environment.get("PARTYLINE_BRIDGE") == "http"
        )

    def token(
        self,
        agent: str = "alice",
        *,
        kind: str = "claude",
        scopes: str = "read,write",
        sessions: list[str] | None = None,
        seconds: int = 3600,
    ) -> str:
        """A principal's token, signed with this pair's key."""
        return sign_principal(
            keyfile.signing_key(keyfile.open_data_dir(self.data_dir)),
            agent_id=agent,
            agent_type=kind,
            scopes=scopes.split(","),
            sessions=sessions,
            lifetime_seconds=seconds,
        )

    def headers(self, agent: str = "alice", **rights: Any) -> dict[str, str]:
        """An Authorization header (none where AUTH=off)."""
        if self.auth == "off":
            return {}
        return {"Authorization": f"Bearer {self.token(agent, **rights)}"}

    @contextlib.asynccontextmanager
    async def agent(
        self, agent: str = "alice", *, mode: str = "auto", **rights: Any
    ) -> AsyncIterator[Client[Any]]:
        """A FastMCP client that speaks as ``agent``; ``mode="legacy"`` for the older era."""
        token = None if self.auth == "off" else self.token(agent, **rights)
        async with Client(f"{self.mcp_url}/mcp", auth=token, mode=mode) as client:
            yield client

    def viewer(
        self,
        session_id: str,
        agent: str = "watcher",
        *,
        query: str = "",
        compression: str | None = None,
        **rights: Any,
    ) -> websockets.connect:
        """A WebSocket client of a session, to be entered with ``async with``."""
        return websockets.connect(
            f"ws://127.0.0.1:{self.ws_port}/ws/{session_id}{query}",
            additional_headers=self.headers(agent, **rights),
            compression=compression,
            proxy=None,
            open_timeout=PATIENCE,
            ping_interval=None,  # a test may stop ws_node for longer
        )

    @property
    def mcp_socket(self) -> Path:
        """mcp_node's Unix socket."""
        return mcp_socket(self.data_dir)

    @property
    def ws_socket(self) -> Path:
        """ws_node's Unix socket."""
        return ws_socket(self.data_dir)

    def service(self) -> httpx.AsyncClient:
        """A client of mcp_node as ws_node and the command line are: over its Unix socket."""
        transport = LocalTransport(self.mcp_socket, httpx.Limits())
        return httpx.AsyncClient(base_url=LOCAL_URL, transport=transport, timeout=PATIENCE)

    def rest(self, agent: str = "alice", **rights: Any) -> httpx.AsyncClient:
        """A client of the REST API."""
        return plain_client(base_url=self.mcp_url, headers=self.headers(agent, **rights))


def whole(message: dict[str, Any]) -> dict[str, Any]:
    """A message of a tool's result, with the fields that tools leave out where they are empty."""
    return {"metadata": {}, "parent_message_id": None, **message}


async def frame(viewer: Any, within: float = PATIENCE) -> dict[str, Any]:
    """The next frame a viewer gets."""
    received = await asyncio.wait_for(viewer.recv(), within)
    decoded = json.loads(received)
    assert isinstance(decoded, dict)
    return decoded


async def frames(viewer: Any, count: int, within: float = PATIENCE) -> list[dict[str, Any]]:
    """The next ``count`` frames."""
    async with asyncio.timeout(within):
        return [json.loads(await viewer.recv()) for _ in range(count)]
