"""``partyline up --cluster demo``, as people start it: two pairs, their servers and a balancer."""

import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
import websockets
from fastmcp import Client

from tests.clients import frames, plain_client
from tests.cluster import needed
from tests.integration.rooms import say
from tests.integration.test_balancers import ERAS, Worker
from tests.integration.test_stopping import STOP_WITHIN
from tests.integration.test_up import Launched, launched
from tests.pair import Pair
from tests.waiting import PATIENCE, START_SECONDS, until

COMMAND = (sys.executable, "-m", "mcp_node.commands.cli", "up", "--cluster", "demo")
PARTS = ("pg", "nats", "mcp1", "ws1", "mcp2", "ws2")

pytestmark = needed


class Demo:
    """The command, while it runs.

    Args:
        pair: its environment, and the key of its tokens.
        running: the process and its output.
    """

    def __init__(self, pair: Pair, running: Launched) -> None:
        self.pair = pair
        self.running = running

    async def is_up(self) -> None:
        await until(lambda: "nats-server      nats://" in self.running.output, within=START_SECONDS)

    @property
    def url(self) -> str:
        """The balancer's."""
        found = re.search(r"agents \(MCP\) +(http://127.0.0.1:\d+)/mcp", self.running.output)
        assert found, self.running.output
        return found[1]

    def starts(self, name: str) -> list[int]:
        """The processes with that label that were started."""
        printed = re.findall(rf"^{name} +\| process (\d+)$", self.running.output, re.MULTILINE)
        return [int(pid) for pid in printed]

    def agent(self, name: str, mode: str = "auto") -> Client[Any]:
        return Client(f"{self.url}/mcp", auth=self.pair.token(name), mode=mode)

    def viewer(self, room: str) -> websockets.connect:
        return websockets.connect(
            f"{self.url.replace('http', 'ws')}/ws/{room}",
            additional_headers=self.pair.headers("watcher"),
            proxy=None,
            open_timeout=PATIENCE,
        )

    async def mended(self) -> None:
        """Wait until all nodes are ready."""
        nodes = re.findall(r"_node \d +(http://127.0.0.1:\d+)  /", self.running.output)
        assert len(nodes) == 4

        async def ready() -> bool:
            async with plain_client() as client:
                try:
                    answers = [await client.get(f"{url}/readyz") for url in nodes]
                except Exception:  # a node is away
                    return False
            return all(answer.status_code == 200 for answer in answers)

        await until(ready, within=START_SECONDS)

    async def stop(self) -> None:
        """Ctrl-C; everything has ended in time."""
        everything = psutil.Process(self.running.process.pid).children(recursive=True)
        clock = asyncio.get_running_loop().time
        begin = clock()
        self.running.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(START_SECONDS):
            assert await self.running.process.wait() == 0
        assert clock() - begin < STOP_WITHIN
        assert not [process for process in everything if process.is_running()]
        assert "Traceback" not in self.running.output


@pytest.fixture
def pair() -> Iterator[Pair]:
    """An environment; its data directory is one that the user postgres may enter."""
    with tempfile.TemporaryDirectory(prefix="pl-") as name:
        os.chmod(name, 0o711)
        pair = Pair(Path(name), start=())
        for store in ("PARTYLINE_STORE", "PARTYLINE_STORE_SCHEMA"):
            pair.environment.pop(store, None)
        pair.signing_dir = pair.data_dir / "cluster" / "first"
        yield pair


async def test_agents_and_viewers_use_it_while_any_part_is_killed(pair: Pair) -> None:
    async with launched(pair, *COMMAND) as running:
        demo = Demo(pair, running)
        await demo.is_up()
        assert "claude mcp add" in running.output
        assert str(pair.signing_dir) in running.output
        assert not re.search(r"eyJ[A-Za-z0-9_-]{20}", running.output), "a token was printed"
        await the_page_is_there(demo)

        room = "demo"
        async with demo.agent("alice") as alice:
            created = {"session_id": room, "purpose": "t"}
            await alice.call_tool("create_session", created)
        workers = [
            Worker(
                f"{mode}-{n}", room, lambda name=f"{mode}-{n}", mode=mode: demo.agent(name, mode)
            )
            for mode in ERAS
            for n in range(3)
        ]
        async with demo.viewer(room) as viewer:
            await asyncio.gather(*(each.say(2) for each in workers))
            seen = await frames(viewer, 12)
            await broadcast_reaches(demo, room, viewer)
        for name in PARTS:
            (pid,) = demo.starts(name)
            os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(START_SECONDS):
                await asyncio.gather(*(each.say(2) for each in workers))
            await until(lambda name=name: len(demo.starts(name)) == 2)
        await demo.mended()
        for each in workers:
            await each.end()
        count = 12 * (1 + len(PARTS))
        async with plain_client(base_url=demo.url, headers=pair.headers()) as rest:
            answer = await rest.get(f"/api/sessions/{room}/messages", params={"limit": 500})
            log = answer.json()["messages"]
            said = [text for each in workers for text in each.said]
            assert sorted(one["content"] for one in log) == sorted(said)
            assert len(said) == count
            assert [one["position"] for one in seen] == [one["id"] for one in log[:12]]
        assert "another partyline up --cluster" in await refusal(pair)
        await demo.stop()

    async with launched(pair, *COMMAND) as running:  # what it leaves is used again
        demo = Demo(pair, running)
        await demo.is_up()
        async with plain_client(base_url=demo.url, headers=pair.headers()) as rest:
            answer = await rest.get(f"/api/sessions/{room}/messages", params={"limit": 500})
            assert answer.json()["messages"] == log
            assert await say(rest, room, "and on") > log[-1]["id"]
        everything = psutil.Process(running.process.pid).children(recursive=True)
        running.process.kill()  # the command alone
        await running.process.wait()
        said = re.search(r"still runs: kill ([0-9 ]+)\n", await refusal(pair))
        assert said
        for pid in map(int, said[1].split()):
            os.kill(pid, signal.SIGTERM)
        _, left = psutil.wait_procs(everything, START_SECONDS)
        assert not left


async def the_page_is_there(demo: Demo) -> None:
    (link,) = re.findall(r"page +(http://\S+#code=\S+)", demo.running.output)
    url, _, code = link.partition("/#code=")
    assert url == demo.url
    async with plain_client(base_url=url, headers={"Origin": url}) as page:
        assert (await page.get("/static/partyline.js")).status_code == 200
        answer = await page.post("/api/redeem", json={"code": code})
        rights = {"Authorization": f"Bearer {answer.json()['token']}"}
        assert (await page.get("/api/sessions", headers=rights)).status_code == 200
        foreign = await page.get("/api/sessions", headers=rights | {"Host": "evil.example"})
        assert foreign.status_code == 403


async def broadcast_reaches(demo: Demo, room: str, viewer: websockets.ClientConnection) -> None:
    async with plain_client(base_url=demo.url) as client:  # on this machine
        sent = await client.post(f"/broadcast/{room}", json={"type": "build", "data": {}})
        assert sent.status_code == 200, sent.text
    assert (await frames(viewer, 1))[0]["origin"] == "external"


async def refusal(pair: Pair, **settings: str) -> str:
    """What it prints when it does not start."""
    before = dict(pair.environment)
    pair.environment.update({f"PARTYLINE_{name}": value for name, value in settings.items()})
    async with launched(pair, *COMMAND) as running:
        async with asyncio.timeout(START_SECONDS):
            assert await running.process.wait() == 2
    pair.environment.clear()
    pair.environment.update(before)
    return running.output


async def test_settings_that_it_decides_itself_are_refused(pair: Pair) -> None:
    assert "sets PARTYLINE_STORE itself" in await refusal(pair, STORE="postgresql://x@/y")
    open_to_all = {"MCP_HOST": "0.0.0.0", "BROADCAST_TOKEN": "x" * 20}
    assert "unset PARTYLINE_MCP_HOST" in await refusal(pair, **open_to_all)
    assert not pair.data_dir.exists()
