"""Two pairs behind nginx and Caddy, with the configurations of deploy/."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2 as httpx
import pytest
import pytest_asyncio
import websockets
from fastmcp import Client
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError

from tests import postgres
from tests.balancers import balancer
from tests.clients import frames, plain_client
from tests.cluster import KEYS, Cluster, needed
from tests.commands import partyline
from tests.integration.rooms import gathered, make_room, say, whole_log
from tests.integration.test_revocation import WITHIN
from tests.nats_server import NatsServer
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), needed]

ERAS = ("auto", "legacy")
HOST = "rooms.example"
BROADCAST_TOKEN = "a-secret-of-my-choice"
_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pairs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    settings = {"ALLOWED_HOSTS": HOST, "BROADCAST_TOKEN": BROADCAST_TOKEN}
    directory = tmp_path_factory.mktemp("cluster")
    where = postgres.store_settings(directory)
    every = (*KEYS, "signing.key")  # a link may be redeemed at either
    async with (
        NatsServer(directory) as nats,
        Cluster(directory, nats=nats, keys=every, **where, **settings) as running,
    ):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["nginx", "caddy"])
async def url(
    request: pytest.FixtureRequest, pairs: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """Where the balancer answers."""
    directory = tmp_path_factory.mktemp(request.param)
    async with balancer(request.param, directory, pairs) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def room(pairs: Cluster) -> str:
    return await make_room(pairs.pairs[0], f"balanced-{next(_numbers)}")


def agent(pairs: Cluster, url: str, name: str, mode: str = "auto") -> Client[Any]:
    return Client(f"{url}/mcp", auth=pairs.pairs[0].token(name), mode=mode)


def viewer(pairs: Cluster, url: str, room: str, name: str = "watcher") -> websockets.connect:
    return websockets.connect(
        f"{url.replace('http', 'ws')}/ws/{room}",
        additional_headers=pairs.pairs[0].headers(name),
        proxy=None,
        open_timeout=PATIENCE,
    )


async def sessions_of(pairs: Cluster) -> list[float]:
    """How many legacy sessions each mcp_node has."""
    return [await pair.metric(pair.mcp, "mcp_sessions") for pair in pairs.pairs]


async def test_agents_of_both_eras_find_their_node(pairs: Cluster, url: str, room: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        said = 0

        async def two(number: int) -> None:
            """Two agents, one of each era; either waits for what the other says."""
            nonlocal said
            here = [
                await stack.enter_async_context(agent(pairs, url, f"{mode}-{number}", mode))
                for mode in ERAS
            ]
            for each, other in (here, reversed(here)):
                waiting = asyncio.create_task(
                    each.call_tool("wait_for_messages", {"session_id": room, "after": said})
                )
                await other.call_tool("add_message", {"session_id": room, "content": "hello"})
                page = (await waiting).structured_content
                assert page is not None
                said = page["messages"][-1]["id"]

        await on_both_nodes(pairs, two)


async def on_both_nodes(pairs: Cluster, more: Callable[[int], Awaitable[None]]) -> None:
    """Have more agents connect until each mcp_node has a new legacy session."""
    before = await sessions_of(pairs)
    async with asyncio.timeout(PATIENCE):
        for number in itertools.count():
            await more(number)
            after = await sessions_of(pairs)
            if all(now > then for now, then in zip(after, before, strict=True)):
                break


async def test_viewers_see_what_both_nodes_commit(pairs: Cluster, url: str, room: str) -> None:
    headers = pairs.pairs[0].headers("streamer")
    async with contextlib.AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(viewer(pairs, url, room)) for _ in range(4)]
        client = await stack.enter_async_context(plain_client(base_url=url, headers=headers))
        events = await stack.enter_async_context(client.stream("GET", f"/events/{room}"))
        assert events.status_code == 200
        rests = [await stack.enter_async_context(pair.rest()) for pair in pairs.pairs]
        said = [await say(rests[n % 2], room, f"message {n}") for n in range(20)]
        for each in viewers:
            assert [one["position"] for one in await frames(each, 20)] == said
        async with asyncio.timeout(PATIENCE):
            streamed = []
            async for line in events.aiter_lines():
                if line.startswith("data:") and '"new_message"' in line:
                    streamed.append(json.loads(line[5:])["position"])
                if len(streamed) == 20:
                    break
        assert streamed == said
        shown = [await pair.metric(pair.ws, "viewers") for pair in pairs.pairs]
        assert min(shown) > 0


async def test_the_page_and_its_requests(pairs: Cluster, url: str, room: str) -> None:
    async with pairs.pairs[0].service() as service:
        minted = await service.post("/api/links", json={"kind": "login"})
    code = minted.json()["url"].partition("#code=")[2]
    async with plain_client(base_url=url, headers={"Origin": url}) as page:
        assert "<!doctype html>" in (await page.get("/")).text
        assert (await page.get("/static/partyline.js")).status_code == 200
        answer = await page.post("/api/redeem", json={"code": code})
        assert answer.status_code == 200, answer.text
        rights = {"Authorization": f"Bearer {answer.json()['token']}"}
        listed = (await page.get("/api/sessions", headers=rights)).json()["sessions"]
        assert room in {one["session_id"] for one in listed}
        body = {"content": "from the page"}
        added = await page.post(f"/api/sessions/{room}/messages", json=body, headers=rights)
        assert added.status_code == 201


async def test_the_nodes_see_the_host_and_the_origin(pairs: Cluster, url: str, room: str) -> None:
    async with plain_client(base_url=url) as client:
        token = pairs.pairs[0].headers()
        for path in ("/api/sessions", "/"):
            own = await client.get(path, headers=token | {"Host": HOST})
            foreign = await client.get(path, headers=token | {"Host": "evil.example"})
            assert (own.status_code, foreign.status_code) == (200, 403)
        other = await client.get("/api/sessions", headers=token | {"Origin": "http://evil.example"})
        assert other.status_code == 403
        event = {"type": "build", "data": {}}
        bearer = {"Authorization": f"Bearer {BROADCAST_TOKEN}"}
        for headers, expected in (({}, 401), (bearer, 200)):
            sent = await client.post(f"/broadcast/{room}", json=event, headers=headers)
            assert sent.status_code == expected, sent.text


FAILURES = (MCPError, ToolError, RuntimeError, httpx.HTTPError)
"""What a client raises, also when it is closed, if its node or its session is gone."""


class Worker:
    """An agent that adds messages, each until it is acknowledged.

    A client that fails is replaced: a new session of the agent, as MCP says for status 404.
    """

    def __init__(self, name: str, room: str, make: Callable[[], Client[Any]]) -> None:
        self._name = name
        self._room = room
        self._make = make
        self._stack = contextlib.AsyncExitStack()
        self._client: Client[Any] | None = None
        self.failures = 0
        self.said: list[str] = []

    async def say(self, count: int) -> None:
        for _ in range(count):
            text = f"{self._name} {len(self.said)}"
            while not await self._tried(text):
                self.failures += 1
                await self.end()
                await asyncio.sleep(0.1)
            self.said.append(text)

    async def _tried(self, text: str) -> bool:
        said = {"session_id": self._room, "content": text, "idempotency_key": text}
        try:
            if self._client is None:
                self._client = await self._stack.enter_async_context(self._make())
            await self._client.call_tool("add_message", said)
        except FAILURES:
            return False
        return True

    async def end(self) -> None:
        self._client = None
        with contextlib.suppress(*FAILURES):
            await self._stack.aclose()


async def test_agents_go_on_when_their_node_is_killed(pairs: Cluster, url: str, room: str) -> None:
    first, second = pairs.pairs
    agents: list[Worker] = []

    def worker(name: str, mode: str) -> Worker:
        return Worker(name, room, lambda: agent(pairs, url, name, mode))

    async def more(number: int) -> None:
        here = [worker(f"{mode}-{number}", mode) for mode in ERAS]
        agents.extend(here)
        await gathered(*(each.say(3) for each in here))

    async with viewer(pairs, url, room) as watching:
        await on_both_nodes(pairs, more)
        saying = asyncio.gather(*(each.say(10) for each in agents))
        await until(lambda: sum(len(each.said) for each in agents) > 4 * len(agents))
        first.mcp.kill()
        try:
            await gathered(saying)
        finally:
            await first.mcp.start()
        assert sum(each.failures for each in agents)  # at least a session of the older era
        await until(first.joined)
        log = await whole_log(second, room)
        said = [text for each in agents for text in each.said]
        assert sorted(one["content"] for one in log) == sorted(said)
        shown = [one["position"] for one in await frames(watching, len(said))]
        assert shown == [one["id"] for one in log]
        for each in agents:
            await each.end()
    async with contextlib.AsyncExitStack() as stack:  # the balancer uses the first again

        async def connect(number: int) -> None:
            await stack.enter_async_context(agent(pairs, url, f"late-{number}", "legacy"))

        await on_both_nodes(pairs, connect)


async def test_a_revoked_token_is_refused_everywhere(pairs: Cluster, url: str) -> None:
    first, _ = pairs.pairs
    name = f"mallory-{next(_numbers)}"
    headers = first.headers(name)
    nodes = [node for pair in pairs.pairs for node in (pair.mcp, pair.ws)]
    everywhere = [url, *(node.url for node in nodes)]
    async with plain_client(headers=headers) as client:

        async def answers() -> set[int]:
            return {(await client.get(f"{each}/api/sessions")).status_code for each in everywhere}

        async def refused() -> bool:
            return await answers() == {401}

        assert await answers() == {200}
        assert (await partyline(first, "revoke", "--agent", name))[0] == 0
        await until(refused, within=WITHIN)
