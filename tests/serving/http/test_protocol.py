"""LimitedHttp on a real uvicorn: who says nothing is cut, everybody else is served as before."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator

import pytest
import uvicorn
import uvloop
import websockets
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

import serving.http.protocol
from serving.http.asgi import Message, Receive, Scope, Send
from serving.http.protocol import LimitedHttp
from tests.serving.raw_http import GET, SECONDS, Impatient, Peer, peer, served
from tests.waiting import until


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the headers it was given; ``/late`` after longer than a head may take."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(2 * SECONDS)
        await send({"type": "websocket.send", "text": "still here"})
        await receive()
        return
    if scope["path"] == "/late":
        await asyncio.sleep(2 * SECONDS)
    if scope["path"] == "/read":
        message: Message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
    body = b",".join(name for name, _ in scope["headers"])
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("says", [b"", b"G", GET[:-2], b"\r\n"])
async def test_a_peer_that_sends_no_whole_head_is_cut(says: bytes) -> None:
    loop = asyncio.get_running_loop()
    async with served(app) as port:
        begin = loop.time()
        async with peer(port, says) as one:
            assert await one.cut() == b""
            assert loop.time() - begin > 0.9 * SECONDS


@pytest.mark.parametrize("says", [b"G", GET[:-2], b"\r\n"])
async def test_a_peer_that_stalls_after_a_request_is_cut(says: bytes) -> None:
    async with served(app) as port, peer(port, GET) as one:
        assert b"200 OK" in await one.answer()
        one.writer.write(says)
        assert await one.cut() == b""  # uvicorn itself would wait for ever


async def test_a_peer_that_stalls_in_a_body_that_was_answered_is_cut() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    async with served(app) as port, peer(port, head) as one:
        assert b"200 OK" in await one.answer()
        one.writer.write(b"x")
        assert await one.cut() == b""


async def test_of_too_many_silent_peers_the_oldest_is_cut() -> None:
    class Few(Impatient):
        head_seconds = 60
        max_silent = 2
        silent = {}  # noqa: RUF012

    async with served(app, Few) as port, peer(port) as first:
        await until(lambda: len(Few.silent) == 1)
        async with peer(port) as second, peer(port) as third:
            assert await first.cut() == b""
            assert len(Few.silent) == 2
            for one in (second, third):
                one.writer.write(GET)
                assert b"200 OK" in await one.answer()
            assert len(Few.silent) == 0


async def test_an_answer_may_take_longer_and_the_connection_stays() -> None:
    async with served(app) as port, peer(port) as one:
        for path in (b"/late", b"/", b"/late"):
            one.writer.write(GET.replace(b" / ", b" " + path + b" "))
            assert b"200 OK" in await one.answer()
        one.writer.write(GET * 3)
        for _ in range(3):
            assert b"200 OK" in await one.answer()


async def test_only_so_many_requests_wait_for_their_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Thousands fit into one read, which then took most of a second."""
    most = serving.http.protocol.MAX_PIPELINED
    async with served(app) as port:
        async with peer(port, GET * most) as one:
            for _ in range(most):
                assert b"200 OK" in await one.answer()
            one.writer.write(GET)
            assert b"200 OK" in await one.answer()
        async with peer(port, GET * 5_000) as one:
            assert (await one.cut()).count(b"200 OK") <= most
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_websocket_is_not_cut() -> None:
    async with served(app) as port:
        url = f"ws://127.0.0.1:{port}/"
        async with websockets.connect(url, proxy=None) as viewer:
            assert len(Impatient.silent) == 0
            assert await viewer.recv() == "still here"


@pytest.mark.parametrize("end", [b"\r\n", b""])
async def test_a_head_without_end_is_refused(end: bytes) -> None:
    async with served(app) as port, peer(port, GET[:-2]) as one:
        with contextlib.suppress(ConnectionError):
            for _ in range(1_000):
                one.writer.write(b"a: " + b"x" * 8_000 + end if end else b"x" * 8_000)
                await one.writer.drain()
        assert await one.cut() in (serving.http.protocol._TOO_LARGE, b"")


async def test_a_large_head_and_a_large_body_are_taken() -> None:
    body = b"x" * 3_000_000
    head = b"POST /read HTTP/1.1\r\nHost: x\r\nA: %b\r\nContent-Length: %d\r\n\r\n"
    async with served(app) as port, peer(port, head % (b"x" * 60_000, len(body)), body) as one:
        assert (await one.answer()).endswith(b"\r\n\r\nhost,a,content-length")


async def test_trailers_are_no_headers() -> None:
    chunked = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    said = chunked + b"1\r\nx\r\n0\r\nAuthorization: y\r\n\r\n"
    async with served(app) as port, peer(port, said) as one:
        assert (await one.answer()).endswith(b"\r\n\r\nhost,transfer-encoding")


@pytest.mark.parametrize("endless", [b"0\r\na: ", b"1;a="])
async def test_a_body_that_never_comes_to_the_point_is_cut(endless: bytes) -> None:
    chunked = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with served(app) as port, peer(port, chunked + endless) as one:
        with contextlib.suppress(ConnectionError):
            for _ in range(1_000):
                one.writer.write(b"x" * 8_000)
                await one.writer.drain()
        assert b"200 OK" not in await one.cut()


@pytest.mark.parametrize("times", [1, 2], ids=["one", "pipelined"])
@pytest.mark.parametrize("path", [b"/", b"/late", b"/read"])
def test_garbage_behind_a_request_is_no_error_of_ours(
    path: bytes, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    """On uvloop, where writing to a closed transport raises; no 400 amid another answer either."""
    says = GET.replace(b" / ", b" " + path + b" ").replace(
        b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n"
    )

    async def scenario() -> bytes:
        async with (
            served(app) as port,
            peer(port, (says + b"abc") * times + b"\x00 garbage\r\n\r\n") as one,
        ):
            said = await one.cut()
            await asyncio.sleep(3 * SECONDS if path == b"/late" else 0)  # as long as the app takes
            return said

    assert uvloop.run(scenario()) == b""
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@contextlib.asynccontextmanager
async def looked_at(request: bytes) -> AsyncIterator[tuple[Peer, list[Scope]]]:
    """A peer that has sent a request, and the scopes the app gets."""
    seen: list[Scope] = []

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await app(scope, receive, send)

    loop = asyncio.get_running_loop()
    config = uvicorn.Config(look, http=LimitedHttp, lifespan="off", log_config=None)
    config.load()
    state = uvicorn.server.ServerState()
    server = await loop.create_server(
        lambda: LimitedHttp(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server, peer(server.sockets[0].getsockname()[1], request) as one:
        yield one, seen


async def test_the_transport_is_in_the_scope() -> None:
    async with looked_at(GET) as (one, seen):
        assert b"200 OK" in await one.answer()
        transport = seen[0]["extensions"][serving.http.protocol.TRANSPORT]
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
        assert await one.cut() == b""


async def test_blanks_around_a_header_are_no_part_of_its_value() -> None:
    request = b"GET / HTTP/1.1\r\nHost:x \r\nA: \t b  c\t \r\nD:  \r\n\r\n"
    async with looked_at(request) as (one, seen):
        assert b"200 OK" in await one.answer()
        assert seen[0]["headers"] == [(b"host", b"x"), (b"a", b"b  c"), (b"d", b"")]


def test_every_private_thing_we_use_is_there() -> None:
    overridden = {name for name, value in vars(LimitedHttp).items() if inspect.isfunction(value)}
    ours = {
        "_start_deadline",
        "_expect_head",
        "_expect_body",
        "_check_body",
        "_cancel_deadline",
        "_cut",
    }
    ours |= {"_close", "_disconnect_app"}
    assert overridden - ours <= set(dir(HttpToolsProtocol))
    source = inspect.getsource(HttpToolsProtocol.__init__)
    for name in ("cycle", "transport", "flow", "scope", "loop"):
        assert f"self.{name}" in source
    source = inspect.getsource(RequestResponseCycle.__init__)
    for name in ("disconnected", "message_event", "response_started", "response_complete"):
        assert f"self.{name}" in source
    assert "self.read_paused" in inspect.getsource(FlowControl.__init__)
