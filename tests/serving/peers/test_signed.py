"""Signed requests over real sockets: what a false node, or one in the middle, gets out of them."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import uvicorn

from proto.errors import PartylineError
from proto.signing import HEADER, Request, Signer, Verifier
from serving.http.asgi import Receive, Scope, Send, respond
from serving.http.bodies import read_body
from serving.http.problems import send_problem
from serving.http.protocol import LimitedHttp
from serving.peers.local import UnsafePeer, is_peer
from serving.peers.signed import SignedRequests, SigningTransport
from tests.clients import plain_client
from tests.waiting import until

KEY = b"0123456789abcdef" * 4
Change = Callable[[httpx.Response], httpx.Response]


class Node:
    """A node that counts what it does for peers, at a port."""

    def __init__(self) -> None:
        self.verifier = Verifier(KEY, "mcp_node")
        self.done: list[bytes] = []
        self.app = SignedRequests(
            self._work, self.verifier, prefix="/api/", max_bytes=1_000, refuse=_refuse
        )

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, max_bytes=1_000)
        if is_peer(scope):
            self.done.append(body)
        text = b"peer " if is_peer(scope) else b"stranger "
        await respond(send, 200, [(b"content-type", b"text/plain")], text + body)

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        config = uvicorn.Config(
            self._same, interface="asgi3", http=LimitedHttp, lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
        with socket.create_server(("127.0.0.1", 0)) as bound:
            task = asyncio.create_task(server.serve(sockets=[bound]))
            await until(lambda: server.started)
            try:
                yield f"http://127.0.0.1:{bound.getsockname()[1]}"
            finally:
                server.should_exit = True
                await task

    async def _same(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def start_anew(self) -> None:
        """As after a restart: what was taken before is forgotten."""
        self.verifier = Verifier(KEY, "mcp_node")
        self.app._verifier = self.verifier


class Middle(httpx.AsyncBaseTransport):
    """Between a client and the node: sees everything, and may change or invent answers."""

    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []
        self.answers: list[httpx.Response] = []
        self.change: Change = lambda response: response
        self._real = httpx.AsyncHTTPTransport(verify=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(_copy(request))
        real = await self._real.handle_async_request(request)
        content = await real.aread()
        response = httpx.Response(real.status_code, headers=real.headers, content=content)
        self.answers.append(response)
        given = self.change(response)
        stream = httpx.ByteStream(given.content)
        return httpx.Response(given.status_code, headers=given.headers, stream=stream)

    async def aclose(self) -> None:
        await self._real.aclose()


async def _refuse(scope: Scope, send: Send, error: PartylineError) -> None:
    await send_problem(send, error)


def _copy(request: httpx.Request, **changes: Any) -> httpx.Request:
    headers = {name: value for name, value in request.headers.items() if name != "content-length"}
    same = {
        "method": request.method,
        "url": request.url,
        "headers": headers,
        "content": request.content,
    }
    return httpx.Request(**{**same, **changes})


@contextlib.asynccontextmanager
async def asking(url: str, key: bytes = KEY) -> AsyncIterator[tuple[httpx.AsyncClient, Middle]]:
    middle = Middle()
    transport = SigningTransport(middle, Signer(key, "mcp_node"))
    async with httpx.AsyncClient(base_url=url, transport=transport, trust_env=False) as client:
        yield client, middle


async def test_signed_requests_are_a_peers_and_others_pass_as_they_came() -> None:
    node = Node()
    async with node.served() as url, asking(url) as (client, middle), plain_client() as stranger:
        for number in range(3):
            answer = await client.post("/api/log?after=1", content=f"{number}")
            assert (answer.status_code, answer.text) == (200, f"peer {number}")
            assert answer.headers["content-type"] == "text/plain"
        async with client.stream("GET", "/api/heads") as streamed:
            assert b"".join([part async for part in streamed.aiter_raw()]) == b"peer "
        assert len(middle.seen) == 5, "the first one learns the instance"
        assert (await stranger.post(f"{url}/api/log", content="x")).text == "stranger x"
        elsewhere = {HEADER: middle.seen[-1].headers[HEADER]}
        assert (await stranger.get(f"{url}/mcp", headers=elsewhere)).text == "stranger "


async def test_a_request_seen_on_the_way_is_worth_nothing() -> None:
    """Replayed as it was, altered in any part, and after the node has started anew."""
    node = Node()
    async with node.served() as url, asking(url) as (client, middle):
        await client.post("/api/log", content="a", headers={"Authorization": "Bearer b"})
        done = len(node.done)
        seen = middle.seen[-1]
        headers = dict(_copy(seen).headers)
        del headers["content-length"]
        altered = [
            _copy(seen),
            _copy(seen, content=b"b"),
            _copy(seen, content=b"a" * 900),
            _copy(seen, method="PUT"),
            _copy(seen, url=f"{url}/api/links"),
            _copy(seen, url=f"{url}/api/log?after=1"),
            _copy(seen, headers={**headers, "Authorization": "Bearer c"}),
            _copy(seen, headers={**headers, "X-Partyline-Epoch": "e"}),
            _copy(seen, headers=[*headers.items(), (HEADER, seen.headers[HEADER])]),
        ]
        async with plain_client() as attacker:
            for request in altered:
                assert (await attacker.send(request)).status_code == 401
            node.start_anew()
            for request in altered:
                assert (await attacker.send(request)).status_code == 401
        assert len(node.done) == done
        answer = await client.post("/api/log", content="c")
        assert answer.text == "peer c", "it signs anew after the restart, by itself"


async def test_a_body_other_than_the_signed_one_is_not_taken() -> None:
    node = Node()
    async with node.served() as url, asking(url) as (client, _), plain_client() as attacker:
        await client.get("/api/heads")
        header, _ = Signer(KEY, "mcp_node").sign(
            _bare("POST", b"/api/log"), b"a", at=int(time.time()), instance=node.verifier.instance
        )
        done = len(node.done)
        for body in (b"b", b"", b"aa", b"a" * 2_000):
            answer = await attacker.post(f"{url}/api/log", content=body, headers={HEADER: header})
            assert answer.status_code in (401, 413)
        assert len(node.done) == done


def _bare(method: str, target: bytes) -> Request:
    return Request(method, target, (b"",) * 6)


@pytest.mark.parametrize("seconds", [-31, 31, -3_600, 3_600])
async def test_a_clock_outside_the_window_is_refused(
    monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    node = Node()
    async with node.served() as url, asking(url) as (client, _):
        assert (await client.get("/api/heads")).status_code == 200
        done, real = len(node.done), time.time
        monkeypatch.setattr("serving.peers.signed.time", _Clock(lambda: real() + seconds))
        header, _ = Signer(KEY, "mcp_node").sign(
            _bare("GET", b"/api/heads"),
            b"",
            at=int(real()),
            instance=node.verifier.instance,
        )
        async with plain_client() as other:
            answer = await other.get(f"{url}/api/heads", headers={HEADER: header})
        assert answer.status_code == 401
        assert len(node.done) == done


class _Clock:
    def __init__(self, now: Callable[[], float]) -> None:
        self.time = now


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: httpx.Response(200, content=b"peer of another kind"),
        lambda answer: httpx.Response(200, headers=answer.headers, content=b"other"),
        lambda answer: httpx.Response(404, headers=answer.headers, content=answer.content),
        lambda answer: httpx.Response(401, headers=answer.headers, content=answer.content),
        lambda answer: httpx.Response(
            200, headers={**answer.headers, "content-type": "text/html"}, content=answer.content
        ),
        lambda answer: httpx.Response(
            200,
            headers={**answer.headers, HEADER: answer.headers[HEADER].replace("taken", "again")},
            content=answer.content,
        ),
    ],
    ids=["unsigned", "body", "status", "refusal", "type", "again"],
)
async def test_an_invented_or_altered_answer_is_not_believed(change: Change) -> None:
    node = Node()
    async with node.served() as url, asking(url) as (client, middle):
        await client.get("/api/heads")
        middle.change = change
        with pytest.raises(UnsafePeer, match=r"bridge\.key"):
            await client.get("/api/heads")
        middle.change = lambda response: response
        assert (await client.get("/api/heads")).text == "peer "


async def test_an_answer_given_before_is_not_believed_again() -> None:
    node = Node()
    async with node.served() as url, asking(url) as (client, middle):
        await client.get("/api/heads")
        former = middle.answers[-1]
        middle.change = lambda response: httpx.Response(
            former.status_code, headers=former.headers, content=former.content
        )
        with pytest.raises(UnsafePeer):
            await client.get("/api/heads")


async def test_whoever_has_another_key_is_refused_and_not_believed() -> None:
    node = Node()
    async with node.served() as url, asking(url, b"f" * 64) as (client, middle):
        with pytest.raises(UnsafePeer):
            await client.get("/api/heads")
        assert middle.answers[-1].status_code == 401
        assert node.done == []


async def test_a_node_that_never_stops_asking_for_a_new_signature_is_left() -> None:
    node = Node()
    async with node.served() as url, asking(url) as (client, middle):
        asked = 0

        def anew(response: httpx.Response) -> httpx.Response:
            nonlocal asked
            asked += 1
            node.start_anew()
            return response

        middle.change = anew
        with pytest.raises(UnsafePeer):
            await client.get("/api/heads")
        assert asked == 2
        assert node.done == []


async def test_an_answer_that_is_too_large_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    async with node.served() as url, asking(url) as (client, _):
        monkeypatch.setattr("serving.peers.signed.MAX_ANSWER_BYTES", 100)
        with pytest.raises(UnsafePeer, match="too large"):
            await client.post("/api/log", content="x" * 500)
