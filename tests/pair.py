"""The real pair of processes, on ports and in a directory of its own, for tests and bench.

::

    async with Pair(tmp_path) as pair:                  # both nodes, ready
        async with pair.agent("alice") as agent: ...    # an MCP client with a token
        async with pair.viewer("room") as socket: ...   # a WebSocket client

Nodes can be started, killed and restarted one by one (`tests.node_process`).
"""

import asyncio
import contextlib
import os
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import websockets
from fastmcp import Client

from proto import keyfile
from proto.tokens import sign_principal
from proto.toolsets import TOOLSETS
from serving.peers.clients import mcp_socket, ws_socket
from serving.peers.local import LOCAL_URL, LocalTransport
from tests import postgres
from tests.clients import UNANSWERED, plain_client
from tests.node_process import Node
from tests.waiting import PATIENCE, START_SECONDS, until


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
        self.signing_dir = self.data_dir  # of the key of its tokens
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PARTYLINE_")}
        environment |= {
            "PARTYLINE_DATA_DIR": str(self.data_dir),
            "PARTYLINE_MCP_PORT": "0",
            "PARTYLINE_WS_PORT": "0",
            "PARTYLINE_AUTH": auth,
            "PARTYLINE_FAILED_TOKEN_SECONDS": "0",  # tests fail on purpose, often
            "PARTYLINE_TOOLSETS": ",".join(TOOLSETS),
        }
        if postgres.wanted():
            environment |= postgres.store_variables(self.data_dir)
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
            keyfile.signing_key(keyfile.open_data_dir(self.signing_dir)),
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

    async def metric(self, node: Node, name: str) -> float:
        """A figure of a node, as an admin reads it; ``name`` without ``partyline_``."""
        async with plain_client(headers=self.headers("root", scopes="admin")) as client:
            text = (await client.get(f"{node.url}/metrics")).text
        found = re.search(rf"^partyline_{name} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])

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
