"""Both nodes as people start them: partyline up, and honcho with the Procfile."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from proto import keyfile
from tests.clients import frame
from tests.commands import partyline
from tests.integration.launching import ROOT
from tests.integration.rooms import make_room, say, status
from tests.integration.test_stopping import STOP_WITHIN
from tests.links.redeeming import code_of, redeem
from tests.pair import Pair
from tests.waiting import START_SECONDS, until


class Launched:
    """A process that runs both nodes; what it printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""

    async def read(self) -> None:
        assert self.process.stdout is not None
        while chunk := await self.process.stdout.read(4096):
            self.output += chunk.decode()

    def nodes(self) -> dict[str, psutil.Process]:
        """The nodes among its descendants, by module."""
        found = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                command = child.cmdline()
                if command[-2:-1] == ["-m"]:
                    found[command[-1]] = child
        return found


@contextlib.asynccontextmanager
async def launched(pair: Pair, *command: str) -> AsyncIterator[Launched]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=pair.environment | {"PATH": path},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Launched(process)
    reading = asyncio.create_task(running.read())
    try:
        yield running
    finally:
        await _end(process)
        await reading
        print(running.output)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Stop it; if it does not listen, kill it with all it started."""
    if process.returncode is not None:
        return
    everything = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        async with asyncio.timeout(START_SECONDS):
            await process.wait()
    except TimeoutError:
        for one in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.kill()
        await process.wait()
        raise


async def ended(running: Launched, number: int) -> tuple[int, float]:
    """Its exit code after a signal and the seconds that took; its nodes are gone by then."""
    nodes = running.nodes()
    clock = asyncio.get_running_loop().time
    begin = clock()
    running.process.send_signal(number)
    async with asyncio.timeout(START_SECONDS):
        code = await running.process.wait()
    assert not [name for name, node in nodes.items() if node.is_running()]
    return code, clock() - begin


async def answering(pair: Pair) -> bool:
    started = pair.mcp.port and pair.ws.port
    return bool(started) and await status(pair.mcp_url) == "ready" and await pair.joined()


async def test_up_says_where_things_are_mends_what_dies_and_stops(tmp_path: Path) -> None:
    pair = Pair(tmp_path, start=())
    command = (sys.executable, "-m", "mcp_node.commands.cli", "up")
    async with launched(pair, *command) as running:
        await until(lambda: "claude mcp add" in running.output, within=START_SECONDS)
        for place in (
            f"{pair.mcp_url}/mcp",
            f"ws://127.0.0.1:{pair.ws_port}/ws/{{session_id}}",
            str(pair.data_dir),
        ):
            assert place in running.output
        await until(lambda: answering(pair), within=START_SECONDS)
        login = await one_time_code(pair, running)
        assert (await redeem(pair, login)).json()["agent_id"] == "human"
        assert (await redeem(pair, login)).status_code == 401
        room = await make_room(pair, "room")
        async with pair.viewer(room) as viewer:
            for module in ("mcp_node", "ws_node"):
                first = running.nodes()[module]
                first.kill()
                await until(lambda m=module, f=first: running.nodes().get(m, f) != f)
            assert "was ended by SIGKILL; starting again in 0.5 s" in running.output
            await viewer.wait_closed()
        await until(lambda: answering(pair), within=START_SECONDS)
        async with pair.viewer(room) as viewer, pair.rest() as rest:
            said = await say(rest, room, "mended")
            assert (await frame(viewer))["position"] == said
        code, seconds = await ended(running, signal.SIGTERM)
        assert code == 0
        assert seconds < STOP_WITHIN
        assert "Traceback" not in running.output
        assert not re.search(r"eyJ[A-Za-z0-9_-]{20}", running.output), "a token was printed"
        assert running.output.count(login) == 1


async def one_time_code(pair: Pair, running: Launched) -> str:
    """The code in what was printed; no process has it, or a key, in arguments or environment."""
    (link,) = re.findall(r"http://\S+#code=\S+", running.output)
    code = code_of(pair, link)
    signing_key = (pair.data_dir / "signing.key").read_text().splitlines()[1]
    secrets = [code, keyfile.bridge_key(pair.data_dir).decode(), signing_key, "eyJ"]
    for process in (psutil.Process(running.process.pid), *running.nodes().values()):
        shown = f"{process.cmdline()} {process.environ()}"
        assert not any(secret in shown for secret in secrets)
    return code


async def test_without_authentication_up_prints_the_plain_address(tmp_path: Path) -> None:
    pair = Pair(tmp_path, start=(), auth="off")
    async with launched(pair, sys.executable, "-m", "mcp_node.commands.cli", "up") as running:
        await until(lambda: "claude mcp add" in running.output, within=START_SECONDS)
        assert f"page             http://127.0.0.1:{pair.ws_port}/\n" in running.output
        assert "#code" not in running.output
        assert await partyline(pair, "login") == (
            0,
            f"http://127.0.0.1:{pair.ws_port}/\n",
            "PARTYLINE_AUTH=off: everybody on this machine can open the page.\n",
        )


async def test_up_stops_everything_when_a_node_refuses(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        pair = Pair(tmp_path, start=(), WS_PORT=port)
        command = (sys.executable, "-m", "mcp_node.commands.cli", "up")
        async with launched(pair, *command) as running:
            async with asyncio.timeout(START_SECONDS):
                assert await running.process.wait() == 2
            await until(lambda: "stopping everything" in running.output)
            assert f"port {port}" in running.output
            assert "PARTYLINE_WS_PORT" in running.output


async def test_honcho_starts_both_and_its_port_is_ignored(tmp_path: Path) -> None:
    pair = Pair(tmp_path, start=())
    command = (sys.executable, "-m", "honcho", "start", "-f", "Procfile", "-p", "5000")
    async with launched(pair, *command) as running:
        await until(lambda: answering(pair), within=START_SECONDS)
        nodes = running.nodes()
        assert set(nodes) == {"mcp_node", "ws_node"}
        assert all("PORT" in node.environ() for node in nodes.values())
        ports = {c.laddr.port for node in nodes.values() for c in node.net_connections("tcp")}
        assert not ports & {int(node.environ()["PORT"]) for node in nodes.values()}
        room = await make_room(pair, "room")
        async with pair.viewer(room) as viewer, pair.rest() as rest:
            said = await say(rest, room, "hello")
            assert (await frame(viewer))["position"] == said
        _, seconds = await ended(running, signal.SIGTERM)
        assert seconds < STOP_WITHIN
