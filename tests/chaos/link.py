"""The faulty link: stands between the two nodes and passes on what its faults leave over.

mcp_node is told that the link is ws_node. What arrives while ws_node is away is lost here too.
Over ZeroMQ every worker of ws_node has a lane of its own, with faults of its own.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
import zmq
import zmq.asyncio

from proto import keyfile
from proto.endpoints import bridge_endpoint
from proto.signing import HEADER, Answer, Request, Verifier, WrongInstance
from serving.peers.clients import ws_socket
from serving.peers.local import LOCAL_URL, LocalTransport
from serving.peers.signed import signed_values
from tests.chaos.link_faults import LinkFaults, Odds
from tests.clients import UNANSWERED

NOT_FORWARDED: Final = {"host", "content-length", "connection", HEADER}


class Link(Protocol):
    """What the harness asks of a link.

    Attributes:
        faults: what it does to messages, lane by lane.
        passed: copies handed on to ws_node.
        undelivered: copies that found ws_node away.
    """

    @property
    def faults(self) -> Sequence[LinkFaults]:
        """By lane."""

    @property
    def passed(self) -> int:
        """Over all lanes."""

    @property
    def undelivered(self) -> int:
        """Over all lanes."""

    @property
    def reordered(self) -> int:
        """How many were handed on after a message that was published later."""

    @property
    def mcp_settings(self) -> dict[str, Any]:
        """Settings that lead mcp_node to the link."""

    @property
    def ws_settings(self) -> dict[str, Any]:
        """Settings with which ws_node is found by the link."""

    async def start(self) -> None:
        """Open both ends."""

    async def close(self) -> None:
        """Close both ends; delayed copies are lost."""


def set_odds(link: Link, odds: Odds) -> None:
    """Have every lane be that bad from now on."""
    for faults in link.faults:
        faults.set(odds)


class _Delays:
    """Hands messages on after their delays, and sees which were overtaken."""

    def __init__(self) -> None:
        self.reordered = 0
        self._number = 0
        self._newest = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def number(self) -> int:
        """The next message's number."""
        self._number += 1
        return self._number

    def went(self, number: int, *, first: bool) -> None:
        """A copy is handed on."""
        self.reordered += first and number < self._newest
        self._newest = max(self._newest, number)

    def later(self, seconds: float, hand_on: Any) -> None:
        """Run a coroutine function in a while."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            await hand_on()

        task = asyncio.get_running_loop().create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Forget what is still delayed."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Lane:
    """Two ZeroMQ sockets: PULL where mcp_node connects, PUSH to one worker of ws_node."""

    def __init__(self, faults: LinkFaults, inward: str, outward: str) -> None:
        self.passed = 0
        self.undelivered = 0
        self.delays = _Delays()
        self._faults = faults
        self._inward, self._outward = inward, outward

    def start(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Bind inwards, connect outwards."""
        self._pull = zmq.asyncio.Context.shadow(context).socket(zmq.PULL)
        self._pull.bind(self._inward)
        self._push = context.socket(zmq.PUSH)
        self._push.set(zmq.IMMEDIATE, 1)
        self._push.set(zmq.RECONNECT_IVL, 50)
        self._push.set(zmq.RECONNECT_IVL_MAX, 200)
        self._push.connect(self._outward)
        self._task = asyncio.create_task(self._run(), name="zmq-link")

    async def close(self) -> None:
        """Close both sockets."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.delays.close()
        self._pull.close(linger=0)
        self._push.close(linger=0)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            frames = await self._pull.recv_multipart()
            number = self.delays.number()
            for copy, delay in enumerate(self._faults.fate(loop.time())):
                if delay:
                    self.delays.later(delay, self._sending(frames, number, first=copy == 0))
                else:
                    self._send(frames, number, first=copy == 0)

    def _sending(self, frames: list[bytes], number: int, *, first: bool) -> Any:
        async def send() -> None:
            self._send(frames, number, first=first)

        return send

    def _send(self, frames: list[bytes], number: int, *, first: bool) -> None:
        try:
            self._push.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            self.undelivered += 1
            return
        self.passed += 1
        self.delays.went(number, first=first)


class ZmqLink:
    """A link of one lane for each worker."""

    def __init__(self, directory: Path, faults: Sequence[LinkFaults]) -> None:
        self.faults = faults
        self._inward = f"ipc://{directory}/link.sock"
        self._outward = f"ipc://{directory}/ws.sock"
        self._lanes = []
        for worker, one in enumerate(faults):
            ends = (self._inward, self._outward)
            inward, outward = (bridge_endpoint(directory, end, worker) for end in ends)
            self._lanes.append(_Lane(one, inward, outward))

    @property
    def passed(self) -> int:
        """Copies handed on, on all lanes."""
        return sum(lane.passed for lane in self._lanes)

    @property
    def undelivered(self) -> int:
        """Copies that found their worker away."""
        return sum(lane.undelivered for lane in self._lanes)

    @property
    def reordered(self) -> int:
        """How many messages were overtaken."""
        return sum(lane.delays.reordered for lane in self._lanes)

    @property
    def mcp_settings(self) -> dict[str, Any]:
        """mcp_node connects to the link."""
        return {"BRIDGE_ENDPOINT": self._inward}

    @property
    def ws_settings(self) -> dict[str, Any]:
        """ws_node binds where the link connects."""
        return {"BRIDGE_ENDPOINT": self._outward}

    async def start(self) -> None:
        """Open every lane."""
        self._context = zmq.Context()
        for lane in self._lanes:
            lane.start(self._context)

    async def close(self) -> None:
        """Close every lane."""
        for lane in self._lanes:
            await lane.close()
        self._context.term()


class HttpLink:
    """A link that takes mcp_node's posts and posts them to ws_node; its workers share its lane.

    To mcp_node it is a ws_node on another machine; to ws_node it is mcp_node.
    """

    def __init__(self, data_dir: Path, faults: LinkFaults) -> None:
        self.faults = [faults]
        self.passed = 0
        self.undelivered = 0
        self._data_dir = keyfile.open_data_dir(data_dir)
        self._verifier = Verifier(keyfile.bridge_key(data_dir), "ws_node")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._delays = _Delays()

    @property
    def reordered(self) -> int:
        """How many messages were overtaken."""
        return self._delays.reordered

    @property
    def mcp_settings(self) -> dict[str, Any]:
        """mcp_node posts to the link."""
        port = self._listener.getsockname()[1]
        return {"BRIDGE": "http", "WS_URL": f"http://127.0.0.1:{port}"}

    @property
    def ws_settings(self) -> dict[str, Any]:
        """The link posts to ws_node's socket."""
        return {"BRIDGE": "http"}

    async def start(self) -> None:
        """Listen."""
        transport = LocalTransport(ws_socket(self._data_dir), httpx.Limits())
        self._client = httpx.AsyncClient(base_url=LOCAL_URL, transport=transport, timeout=2.0)
        self._server = await asyncio.start_server(self._serve, sock=self._listener)
        self._served: set[asyncio.StreamWriter] = set()

    async def close(self) -> None:
        """Stop listening."""
        self._server.close()
        for writer in list(self._served):
            writer.transport.abort()
        await self._server.wait_closed()
        await self._delays.close()
        await self._client.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._served.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                path = head[0].split(" ")[1]
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, signed = await self._answer(path, headers, body)
                lines = [f"HTTP/1.1 {status} -", "Content-Length: 0", f"{HEADER}: {signed}"]
                writer.write("\r\n".join([*lines, "", ""]).encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._served.discard(writer)
            writer.close()

    async def _answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """Pass a post on, and sign the answer as ws_node does."""
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        request = Request("POST", path.encode(), signed_values(raw))
        try:
            signature = self._verifier.verify(headers[HEADER], request, now=time.time())
        except WrongInstance as again:
            signed = self._verifier.sign(again.signature, Answer(401, b""), b"", accepted=False)
            return 401, signed
        status = await self._pass_on(path, headers, body)
        return status, self._verifier.sign(signature, Answer(status, b""), b"")

    async def _pass_on(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Post every copy; the status mcp_node gets: 200 also for what is lost unseen."""
        kept = {name: value for name, value in headers.items() if name not in NOT_FORWARDED}
        number = self._delays.number()
        status = 200
        for copy, delay in enumerate(self.faults[0].fate(asyncio.get_running_loop().time())):
            post = self._posting(path, kept, body, number, first=copy == 0)
            if delay:
                self._delays.later(delay, post)
            else:
                status = await post()
        return status

    def _posting(
        self, path: str, headers: dict[str, str], body: bytes, number: int, *, first: bool
    ) -> Any:
        async def post() -> int:
            try:
                answer = await self._client.post(path, content=body, headers=headers)
            except UNANSWERED:
                self.undelivered += 1
                return 503
            self.passed += 1
            self._delays.went(number, first=first)
            return answer.status_code

        return post


def make_link(bridge: str, directory: Path, faults: Sequence[LinkFaults]) -> Link:
    """A link for one of the two bridges, with faults for each worker.

    Args:
        bridge: ``zmq`` or ``http``.
        directory: of the pair; short.
        faults: by worker.
    """
    return (
        ZmqLink(directory, faults) if bridge == "zmq" else HttpLink(directory / "data", faults[0])
    )
