"""LimitedHttp with bodies that do not come, and Unsent with answers nobody takes: real sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import uvloop

from serving.http.asgi import Message, Receive, Scope, Send
from serving.http.protocol import TRANSPORT
from serving.http.unsent import Unsent
from tests.serving.raw_http import RATE, SECONDS, Impatient, Peer, peer, served
from tests.waiting import PATIENCE, until

LARGE = 1_500_000


class Log:
    """What the app saw."""

    def __init__(self) -> None:
        self.disconnected = 0
        self.bodies: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """/read answers the body's length, /large a large body, /stream has no end."""
        if scope["path"] == "/read":
            message: Message = {"more_body": True}
            size = 0
            while message.get("more_body"):
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.disconnected += 1
                    return
                size += len(message["body"])
            self.bodies.append(size)
        start = {"type": "http.response.start", "status": 200}
        if scope["path"] == "/stream":
            await send({**start, "headers": []})
            while not scope["extensions"][TRANSPORT].is_closing():
                await send({"type": "http.response.body", "body": b"x" * 50_000, "more_body": True})
                await asyncio.sleep(0)
            return
        body = b"x" * (LARGE if scope["path"] == "/large" else 2)
        headers = [(b"content-length", b"%d" % len(body))]
        if scope["query_string"] == b"close":
            headers.append((b"connection", b"close"))
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def log() -> Log:
    return Log()


HEAD = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"


@pytest.mark.parametrize("says", [HEAD % 500, HEAD % 500 + b"x", CHUNKED, CHUNKED + b"x"])
async def test_a_body_that_does_not_come_is_answered_408(log: Log, says: bytes) -> None:
    async with served(log) as port, peer(port, says) as one:
        await until(lambda: len(Impatient.silent) == 1)
        assert (await one.cut()).startswith(b"HTTP/1.1 408 ")
        assert (log.disconnected, log.bodies) == (1, [])


async def test_a_body_that_comes_in_drops_ends_as_well(log: Log) -> None:
    async with served(log) as port, peer(port, HEAD % 500) as one:
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while not one.reader.at_eof():
                    one.writer.write(b"x")
                    await one.writer.drain()
                    await asyncio.sleep(SECONDS / 10)
                    if log.disconnected:
                        break
        assert log.disconnected == 1


async def test_a_body_that_keeps_coming_has_the_time_it_needs(log: Log) -> None:
    class Patient(Impatient):
        body_seconds = 2.0

    piece, times = b"x" * int(RATE * Patient.body_seconds), 8
    async with served(log, Patient) as port, peer(port, HEAD % (len(piece) * times)) as one:
        for _ in range(times):
            one.writer.write(piece)
            await asyncio.sleep(Patient.body_seconds / 6)
        assert b"200 OK" in await one.answer()
        assert log.bodies == [len(piece) * times]


async def test_sixty_bodies_that_do_not_come_end_in_time_and_are_counted(log: Log) -> None:
    class Few(Impatient):
        head_seconds = 60
        body_seconds = 8  # all have come by then, also on a busy machine
        max_silent = 20
        silent = {}  # noqa: RUF012

    async with served(log, Few) as port, contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(peer(port, HEAD % 500 + b"x")) for _ in range(60)]
        ends = await asyncio.gather(*(one.cut() for one in peers))
        late = [end for end in ends if end]
        assert 0 < len(late) <= 20 and all(b" 408 " in end for end in late)
        assert log.disconnected == 60


async def test_a_request_whose_body_came_is_not_awaited(log: Log) -> None:
    async with served(log) as port, peer(port, HEAD % 3 + b"xyz") as one:
        assert b"200 OK" in await one.answer()
        assert len(Impatient.silent) == 0


@contextlib.asynccontextmanager
async def reader(port: int, path: bytes) -> AsyncIterator[Peer]:
    """A peer that asked for something, takes little at a time and has read nothing yet."""
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
        stream, writer = await asyncio.open_connection(sock=plain, limit=1_000)
        writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        yield Peer(stream, writer)
        writer.transport.abort()


@pytest.mark.parametrize("loop_of", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("path", [b"/large", b"/large?close", b"/stream"])
def test_an_answer_nobody_reads_is_cut(log: Log, path: bytes, loop_of: object) -> None:
    async def scenario() -> int:
        async with served(log) as port, reader(port, path):
            await until(lambda: len(Impatient.unsent) == 1)
            held = Impatient.unsent.bytes
            await until(lambda: len(Impatient.unsent) == 0)
            assert Impatient.unsent.bytes == 0
            return held

    before = Impatient.unsent.cut
    held = loop_of(scenario())  # type: ignore[operator]
    assert Impatient.unsent.cut == before + 1
    assert held <= (LARGE + 1_000 if path != b"/stream" else 60_000)


async def test_an_answer_that_is_read_slowly_is_whole(log: Log) -> None:
    async with served(log) as port, reader(port, b"/large") as one:
        got = 0
        begin = asyncio.get_running_loop().time()
        head = await one.reader.readuntil(b"\r\n\r\n")
        while got < LARGE:
            slowly = got < LARGE // 2
            got += len(await one.reader.read(2_000 if slowly else LARGE))
            if slowly:
                await asyncio.sleep(0.002)
        assert b"200 OK" in head and got == LARGE
        assert asyncio.get_running_loop().time() - begin > SECONDS


async def test_beyond_the_bound_in_bytes_the_slowest_is_cut(log: Log) -> None:
    class Small(Impatient):
        unsent = Unsent(seconds=60, rate=RATE, most_bytes=int(2.5 * LARGE))

    async with served(log, Small) as port, contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(reader(port, b"/large")) for _ in range(2)]
        await until(lambda: len(Small.unsent) == 2)
        await peers[1].reader.readexactly(200_000)
        await asyncio.sleep(1.1)  # until they are no longer fresh
        peers.append(await stack.enter_async_context(reader(port, b"/large")))
        await until(lambda: Small.unsent.cut == 1)
        assert Small.unsent.bytes <= 2.5 * LARGE
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await peers[0].reader.readexactly(LARGE)
        for one in peers[1:]:
            one.writer.transport.abort()
