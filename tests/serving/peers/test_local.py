"""Unix sockets between the processes of one machine: ours alone, on both sides."""

import asyncio
import contextlib
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from proto.errors import ConfigurationError
from serving.http.asgi import Receive, Scope, Send, respond
from serving.http.protocol import LimitedHttp
from serving.peers.local import (
    LOCAL_URL,
    BlockingTransport,
    LocalTransport,
    UnsafePeer,
    is_peer,
    listening,
)
from serving.process.server import NodeServer
from tests.clients import plain_client
from tests.proto.unprivileged import NOBODY, scratch_of_nobody
from tests.waiting import until


async def tells(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that tells whether the caller is a peer."""
    await respond(send, 200, [], str(is_peer(scope)).encode())


@contextlib.asynccontextmanager
async def served(path: Path) -> AsyncIterator[str]:
    """The app at a Unix socket and a port; the port's address."""

    async def drain() -> None:
        """Nothing to say goodbye to."""

    config = uvicorn.Config(tells, http=LimitedHttp, lifespan="off", log_config=None)
    with listening(path) as local, socket.create_server(("127.0.0.1", 0)) as bound:
        server = NodeServer(config, drain, local)
        task = asyncio.create_task(server.serve(sockets=[bound]))
        await until(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def client(path: Path) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=LocalTransport(path, httpx.Limits()), base_url=LOCAL_URL)


async def test_who_comes_over_the_socket_is_a_peer_and_nobody_at_the_port(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    async with served(path) as url, client(path) as local, plain_client(base_url=url) as remote:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for _ in range(3):  # over one connection too
            assert (await local.get("/")).text == "True"
            forged = {"partyline.peer": "true", "X-Partyline-Peer": "true", "Host": "localhost"}
            assert (await remote.get("/", headers=forged)).text == "False"

        def asked() -> str:
            with httpx.Client(transport=BlockingTransport(path), base_url=LOCAL_URL) as command:
                return command.get("/").text

        assert await asyncio.to_thread(asked) == "True"
    assert not path.exists()
    with pytest.raises(httpx.ConnectError):
        await client(path).get("/")


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(path))
    with listening(path), socket.socket(socket.AF_UNIX) as caller:
        caller.connect(os.fspath(path))
    assert not path.exists()


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    path.write_text("notes")
    with pytest.raises(ConfigurationError, match="is not a socket"), listening(path):
        pass
    assert path.read_text() == "notes"
    gone = tmp_path / "gone" / "node.sock"
    with pytest.raises(ConfigurationError, match="cannot be listened on"), listening(gone):
        pass


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
async def test_a_socket_in_a_directory_open_to_others_is_not_spoken_to(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "node.sock"
    async with served(path), client(path) as local:
        assert (await local.get("/")).text == "True"
        os.chmod(tmp_path, mode)
        with pytest.raises(UnsafePeer, match="open to others"):
            await local.get("/")
        os.chmod(tmp_path, 0o700)


async def test_what_is_no_socket_of_ours_is_not_spoken_to(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    async with served(tmp_path / "elsewhere" / "other.sock"):
        path.symlink_to(tmp_path / "elsewhere" / "other.sock")
        with pytest.raises(UnsafePeer, match="not this user's socket"):
            await client(path).get("/")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(os.fspath(path))
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
            with pytest.raises(UnsafePeer, match="not this user's socket"):
                await client(path).get("/")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_another_user_is_cut_even_where_the_files_would_let_it_in() -> None:
    with scratch_of_nobody() as scratch:
        os.chown(scratch, 0, 0)
        path = scratch / "node.sock"
        async with served(path):
            os.chmod(scratch, 0o755)
            os.chmod(path, 0o666)
            script = (
                "import os, socket, sys\n"
                f"os.setgid({NOBODY}); os.setuid({NOBODY})\n"
                "peer = socket.socket(socket.AF_UNIX); peer.settimeout(30)\n"
                f"peer.connect({os.fspath(path)!r})\n"
                "try:\n"
                "    peer.sendall(b'GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n')\n"
                "    print(peer.recv(100))\n"
                "except ConnectionError:\n"
                "    print(b'')\n"
            )
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
            )
            out, _ = await process.communicate()
            assert out.strip() == b"b''"


async def test_silence_over_the_socket_is_nobody_elses_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that say nothing are limited at the port; they take no place at the socket."""
    monkeypatch.setattr(LimitedHttp, "max_silent", 0)
    path = tmp_path / "node.sock"
    async with served(path) as url, client(path) as local, plain_client(base_url=url) as remote:
        with pytest.raises(httpx.TransportError):
            await remote.get("/")
        assert (await local.get("/")).text == "True"
