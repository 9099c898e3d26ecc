"""What another answerer at mcp_node's address can do: it counts as away, and nothing breaks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from proto.messages import Audience
from proto.settings import Settings
from serving.peers.clients import mcp_socket
from tests.waiting import PATIENCE, until
from tests.ws_node.making import ignore, make_hub, make_settings
from ws_node.app import Node
from ws_node.log import client as history_module
from ws_node.log.client import AT_ONCE, History, HistoryUnavailable
from ws_node.log.sync import LogSync
from ws_node.rooms.dispatcher import Dispatcher
from ws_node.rooms.event_queue import EventQueue, FetchFailed
from ws_node.rooms.follower import RoomFollower

ANYBODY = Audience("anonymous", "anonymous")
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def http(status: str, body: bytes, *headers: str) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
        writer.write("\r\n".join([*lines, *headers, "", ""]).encode() + body)
        await writer.drain()

    return answer


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def answering(directory: Path, answer: Answer) -> AsyncIterator[Settings]:
    handlers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await answer(reader, writer)
        finally:
            writer.transport.abort() if answer in (silence, drip) else writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers[asyncio.create_task(respond(reader, writer))] = writer

    server = await asyncio.start_unix_server(handle, mcp_socket(directory))
    async with server:
        try:
            yield make_settings(directory)
        finally:
            server.close()
            for handler in handlers:
                handler.cancel()
            await asyncio.gather(*handlers, return_exceptions=True)
            for writer in handlers.values():  # also of those cancelled before they began
                writer.transport.abort()
            closed = [writer.wait_closed() for writer in handlers.values()]
            await asyncio.gather(*closed, return_exceptions=True)


@contextlib.asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[History]:
    history = History(settings)
    try:
        yield history
    finally:
        await history.close()


ODD = {
    "401": http("401 Unauthorized", b"{}"),
    "500": http("500 Oops", b"Internal Server Error"),
    "redirect": http("302 Found", b"", "Location: http://169.254.0.1/"),
    "no content": http("204 No Content", b""),
    "html": http("200 OK", b"<html>"),
    "other json": http("200 OK", b'{"epoch":1}'),
    "deep json": http("200 OK", b"[" * 100_000),
    "not utf-8": http("200 OK", b'{"epoch":"\xff"}'),
    "bad gzip": http("200 OK", b"x", "Content-Encoding: gzip"),
    "not http": http("garbage", b""),
    "odd location": http("200 OK", b"{}", "Set-Cookie: a=\x01"),
    "silence": silence,
    "hang up": hang_up,
    "drip": drip,
}


@pytest.mark.parametrize("kind", ODD)
async def test_any_odd_answer_is_history_away_for_every_question(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "ANSWER_SECONDS", 0.3)
    async with answering(tmp_path, ODD[kind]) as settings, asking(settings) as history:
        answers = await asyncio.gather(
            history.heads(0),
            history.session_head("room"),
            history.log("room", 0),
            history.visible_log("room", 0, ANYBODY),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [HistoryUnavailable] * 4
        assert not any(isinstance(a, HistoryUnavailable) and a.refused for a in answers)


async def test_a_refused_connection_is_told_apart(tmp_path: Path) -> None:
    async with asking(make_settings(tmp_path)) as history:
        with pytest.raises(HistoryUnavailable) as away:
            await history.heads(0)
        assert away.value.refused


async def test_viewers_share_an_answer_rooms_and_the_comparison_do_not_wait(
    tmp_path: Path,
) -> None:
    page = {"epoch": "e", "head": 0, "through": 0, "messages": []}
    heads = {"epoch": "e", "head": 0, "changed": {}, "through": 0}
    released, open_now, most = asyncio.Event(), 0, 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        request = await reader.readuntil(b"\r\n\r\n")
        if b"/api/heads?" in request:
            await http("200 OK", msgspec.json.encode(heads))(_read(request), writer)
            return
        open_now += 1
        most = max(most, open_now)
        if b"/api/log" in request:
            await released.wait()
        open_now -= 1
        body = (
            page if b"/api/log" in request else {"epoch": "e", "id": 0, "log_head": 0, "starts": []}
        )
        await http("200 OK", msgspec.json.encode(body))(_read(request), writer)

    async with answering(tmp_path, answer) as settings, asking(settings) as history:
        same = [asyncio.create_task(history.visible_log("room", 0, ANYBODY)) for _ in range(50)]
        others = [
            asyncio.create_task(history.visible_log(f"room-{n}", 0, ANYBODY)) for n in range(50)
        ]
        await until(lambda: open_now == AT_ONCE // 2)
        same[0].cancel()
        assert (await history.session_head("room")).id == 0
        assert (await history.heads(5)).head == 0
        assert most <= AT_ONCE
        released.set()
        pages = await asyncio.gather(*same[1:], *others)
        assert len({id(one) for one in pages[:49]}) == 1
        assert history.requests == 50 + 1 + 2


def _read(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    return reader


@pytest.mark.parametrize("kind", ["401", "500", "html", "drip", "hang up"])
async def test_following_survives_odd_answers_and_asks_again(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("ws_node.log.sync.BACKOFF_SECONDS", (0.01, 0.05))
    async with answering(tmp_path, ODD[kind]) as settings, asking(settings) as history:
        queue = EventQueue(100)
        hub = make_hub(settings, on_want=lambda room: following.fetch(room))
        following = LogSync(settings, hub, queue, history, subscribed=at_once)
        running = asyncio.create_task(following.run())
        hub.enter("room")
        await until(lambda: history.requests > 3)
        assert following.reachable is False
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not following._tasks


async def test_a_position_is_asked_for_once_the_bridge_carries_the_session(tmp_path: Path) -> None:
    """Else a message committed after the answer and published before would reach nobody."""
    asked: list[str] = []
    carried = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        asked.append(request.split()[1].decode())
        head = {"epoch": "e", "id": 0, "log_head": 0, "starts": []}
        heads = {"epoch": "e", "head": 0, "changed": {}, "through": 0}
        body = head if b"/api/heads/" in request else heads
        await http("200 OK", msgspec.json.encode(body))(_read(request), writer)

    async def subscribed(session_id: str) -> None:
        asked.append(f"carried {session_id}")
        await carried.wait()

    async with answering(tmp_path, answer) as settings, asking(settings) as history:
        queue = EventQueue(100)
        hub = make_hub(settings, on_want=lambda room: following.fetch(room))
        following = LogSync(settings, hub, queue, history, subscribed=subscribed)
        running = asyncio.create_task(following.run())
        hub.enter("room")
        await until(lambda: "carried room" in asked)
        await history.heads(0)
        assert "/api/heads/room" not in asked
        carried.set()
        await until(lambda: "/api/heads/room" in asked)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def at_once(session_id: str) -> None:
    """The bridge carries every session."""


async def test_a_room_whose_question_failed_may_ask_again(tmp_path: Path) -> None:
    follower = RoomFollower()
    follower.ask()
    queue = EventQueue(16)
    hub = make_hub(make_settings(tmp_path))
    room = hub.enter("room")
    room.follower = follower
    asked: list[object] = []
    dispatcher = Dispatcher(
        hub,
        queue,
        on_want=lambda room: asked.append(room.follower.ask().value),
        on_foreign=ignore,
    )
    dispatching = asyncio.create_task(dispatcher.run())
    queue.put_answer(FetchFailed("room", follower))
    await until(lambda: asked == ["position"])
    dispatching.cancel()
    await asyncio.gather(dispatching, return_exceptions=True)


@pytest.mark.parametrize("part", ["_dispatcher", "_log_sync"])
async def test_a_task_that_must_not_end_takes_the_node_with_it(
    tmp_path: Path, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not silently: the block is cancelled, and the error leaves it."""
    node = Node(make_settings(tmp_path, bridge_endpoint=""))
    broken = RuntimeError("broken")

    async def fails(*_: object) -> None:
        raise broken

    with pytest.raises(BaseExceptionGroup) as ended:
        async with asyncio.timeout(PATIENCE), node.running():
            await asyncio.sleep(0.05)
            if part == "_dispatcher":
                node._queue._items = [None]  # type: ignore[list-item]
                node._queue._add(None)  # type: ignore[arg-type]
            else:
                node._log_sync._start(fails())
            await asyncio.Event().wait()
    assert ended.value.subgroup((AttributeError, RuntimeError)) is not None
    assert "must not end" in caplog.text
