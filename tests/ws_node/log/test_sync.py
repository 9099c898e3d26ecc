"""ws_node follows the log of a real mcp_node while the bridge between them is ours to spoil."""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
import websockets
import zmq

from proto import endpoints, wire
from proto.internal_api import LogPage
from proto.wire import Event, message_event
from tests.clients import closed_with, frame, frames, is_quiet, plain_client
from tests.pair import Pair
from tests.waiting import START_SECONDS

names = (f"room-{number}" for number in itertools.count())


class Severed(Pair):
    """Both nodes; mcp_node publishes to where nobody listens, `forward` is the bridge."""

    def __init__(self, *, poll_seconds: float = 1) -> None:
        super().__init__(auth="off", start=(), LOG_POLL_SECONDS=poll_seconds)
        nowhere = f"ipc://{self.data_dir.parent}/nowhere.sock"
        self.mcp.environment = {**self.environment, "PARTYLINE_BRIDGE_ENDPOINT": nowhere}

    def begin(self) -> None:
        self._context = zmq.Context()
        self.mcp.spawn()
        self.ws.spawn()
        end = time.monotonic() + START_SECONDS
        while not self._follows():
            assert time.monotonic() < end, self.ws.output() + self.mcp.output()
            time.sleep(0.05)
        self._push = self._context.socket(zmq.PUSH)
        self._push.set(zmq.LINGER, 0)
        self._push.connect(endpoints.bridge_endpoint(self.data_dir, ""))

    def finish(self) -> None:
        self._context.destroy(linger=0)
        self._end()

    def _follows(self) -> bool:
        if not self.ws_port:
            return False
        try:
            answer = httpx.get(f"{self.ws_url}/readyz", trust_env=False)
        except httpx.HTTPError:
            return False
        return bool(answer.json()["status"] == "ready")

    @contextlib.asynccontextmanager
    async def room(self) -> AsyncIterator["Talk"]:
        async with plain_client(base_url=self.mcp_url) as rest:
            talk = Talk(self, rest, next(names))
            await talk.ask("/api/sessions", {"purpose": "t", "session_id": talk.room})
            yield talk

    def forward(self, *events: Event) -> None:
        for event in events:
            self._push.send_multipart(wire.encode(event), zmq.NOBLOCK)

    def watch(self, room: str, query: str = "") -> websockets.connect:
        url = f"ws://127.0.0.1:{self.ws_port}/ws/{room}{query}"
        return websockets.connect(url, compression=None, proxy=None, max_queue=None)


class Talk:
    """One session, spoken into over REST."""

    def __init__(self, pair: Severed, rest: httpx.AsyncClient, room: str) -> None:
        self.pair = pair
        self.room = room
        self._rest = rest

    async def ask(self, path: str, body: dict[str, Any]) -> bytes:
        answer = await self._rest.post(path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.content

    async def say(self, *contents: str) -> list[int]:
        path = f"/api/sessions/{self.room}/messages"
        return [
            msgspec.json.decode(await self.ask(path, {"content": content}))["message_id"]
            for content in contents
        ]

    async def log(self, after: int = 0) -> list[Event]:
        """The session's log as frames of the bridge."""
        stretch = {"session_id": self.room, "after": after, "limit": 1_000}
        async with self.pair.service() as mcp:
            answer = await mcp.post("/api/log", json=stretch)
        assert answer.status_code == 200, answer.text
        page = msgspec.json.decode(answer.content, type=LogPage)
        return [message_event(message, page.epoch) for message in page.messages]


@contextlib.asynccontextmanager
async def running(pair: Severed) -> AsyncIterator[Severed]:
    try:
        await asyncio.to_thread(pair.begin)
        yield pair
    finally:
        await asyncio.to_thread(pair.finish)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def severed() -> AsyncIterator[Severed]:
    async with running(Severed()) as pair:
        yield pair


def contents(got: list[dict[str, Any]]) -> list[str]:
    assert [one["position"] for one in got] == sorted({one["position"] for one in got})
    return [one["data"]["content"] for one in got]


def subscribe(**position: Any) -> str:
    return msgspec.json.encode({"type": "subscribe", **position}).decode()


async def test_what_the_bridge_lost_is_read_from_the_log(severed: Severed) -> None:
    async with severed.room() as talk, severed.watch(talk.room) as viewer:
        await talk.say("one", "two", "three")
        assert contents(await frames(viewer, 3)) == ["one", "two", "three"]
        await talk.say("four")
        assert contents(await frames(viewer, 1)) == ["four"]
        await is_quiet(viewer)


async def test_a_gap_is_filled_as_soon_as_it_shows() -> None:
    """Not by the next comparison of heads, which is a minute away."""
    async with (
        running(Severed(poll_seconds=60)) as pair,
        pair.room() as talk,
        pair.watch(talk.room) as viewer,
    ):
        await talk.say("lost", "lost too", "arrived")
        pair.forward((await talk.log())[-1])
        assert contents(await frames(viewer, 3)) == ["lost", "lost too", "arrived"]
        await is_quiet(viewer)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_some_repeated_and_reordered_frames_make_an_exact_transcript(
    severed: Severed, seed: int
) -> None:
    chance = random.Random(seed)
    async with (
        severed.room() as talk,
        severed.watch(talk.room) as early,
        severed.watch(talk.room, "?since=0") as replayed,
    ):
        said = [f"{number}" for number in range(30)]
        for start in range(0, 30, 10):
            ids = await talk.say(*said[start : start + 10])
            spoilt = chance.choices(await talk.log(after=ids[0] - 1), k=12)
            severed.forward(*spoilt, *spoilt[:5])
        assert (await frame(replayed))["type"] == "subscribed"
        for viewer in (early, replayed):
            assert contents(await frames(viewer, 30)) == said
            await is_quiet(viewer)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_viewers_from_now_on_get_each_message_once_whatever_the_bridge_does(
    severed: Severed, seed: int
) -> None:
    """Who subscribes without a position gets everything after the one it is told, once."""
    chance = random.Random(seed)
    async with contextlib.AsyncExitStack() as stack:
        talk = await stack.enter_async_context(severed.room())
        other = await stack.enter_async_context(severed.room())
        viewers = []
        for number in range(24):
            last = await chance.choice([talk, talk, other]).say(f"{number}")
            before = max(0, last[0] - 3)
            spoilt = [*await talk.log(before), *await other.log(before)]
            severed.forward(*chance.choices(spoilt, k=len(spoilt)))
            if number % 3 == 0:
                viewer = await stack.enter_async_context(severed.watch(talk.room))
                await viewer.send(subscribe())
                viewers.append(viewer)
        ids = [event.id for event in await talk.log()]
        for viewer in viewers:
            start = await frame(viewer)
            while start["type"] != "subscribed":  # it was live before it asked
                start = await frame(viewer)
            expected = [id_ for id_ in ids if id_ is not None and id_ > start["position"]]
            got = await frames(viewer, len(expected))
            assert [one["position"] for one in got] == expected
            await is_quiet(viewer)


async def test_a_frame_of_another_log_is_dropped(severed: Severed) -> None:
    async with severed.room() as talk, severed.watch(talk.room) as viewer:
        await talk.say("ours")
        real = (await talk.log())[0]
        fields = {name: getattr(real, name) for name in Event.__struct_fields__}
        severed.forward(Event(**{**fields, "epoch": "foreign", "body": b'{"forged":1}'}))
        severed.forward(real)
        assert contents(await frames(viewer, 1)) == ["ours"]
        await is_quiet(viewer)


async def test_a_frame_with_an_id_the_log_lacks_cannot_wedge_a_room(severed: Severed) -> None:
    """One far ahead is given up; one that continues the chain makes its viewers reload."""
    async with severed.room() as talk, severed.watch(talk.room) as viewer:
        await talk.say("one")
        real = (await talk.log())[0]
        fields = {name: getattr(real, name) for name in Event.__struct_fields__}
        severed.forward(Event(**{**fields, "id": 900_000, "prev": 800_000}))
        severed.forward(real)
        assert contents(await frames(viewer, 1)) == ["one"]
        await talk.say("two")
        assert contents(await frames(viewer, 1)) == ["two"]
        forged = Event(**{**fields, "id": 950_000, "prev": 0, "body": b'{"position":950000}'})
        severed.forward(forged)
        assert await frame(viewer) == {"position": 950_000}
        assert await closed_with(viewer) == 4002
        async with severed.watch(talk.room, "?since=950000") as again:
            assert (await frame(again))["recovered"] is False
            await talk.say("three")
            assert contents(await frames(again, 1)) == ["three"]


async def test_since_replays_pages_then_the_ring_then_goes_live(severed: Severed) -> None:
    async with severed.room() as talk:
        said = [f"{number}" for number in range(520)]  # more than a page
        ids = await talk.say(*said)
        async with severed.watch(talk.room) as first:
            tail = await talk.say("ring one", "ring two")
            severed.forward(*await talk.log(after=tail[0] - 1))
            await frames(first, 2)
            async with severed.watch(talk.room, f"?since={ids[3]}") as viewer:
                told = await frame(viewer)
                assert told["recovered"] is True
                assert told["position"] == ids[3]
                expected = [*said[4:], "ring one", "ring two"]
                assert contents(await frames(viewer, len(expected))) == expected
                await talk.say("live")
                severed.forward(*await talk.log(after=tail[1]))
                assert contents(await frames(viewer, 1)) == ["live"]
                await is_quiet(viewer)


async def test_messages_go_on_coming_while_a_viewer_catches_up(severed: Severed) -> None:
    async with severed.room() as talk, severed.watch(talk.room):
        before = [f"{number}" for number in range(40)]
        await talk.say(*before)

        async def going_on() -> list[str]:
            more = [f"more {number}" for number in range(25)]
            for one in more:
                last = await talk.say(one)
                severed.forward(*await talk.log(after=last[0] - 1))
            return more

        speaking = asyncio.create_task(going_on())
        viewers = []
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(10):
                viewer = await stack.enter_async_context(severed.watch(talk.room, "?since=0"))
                viewers.append(viewer)
            more = await speaking
            for viewer in viewers:
                assert (await frame(viewer))["position"] == 0
                assert contents(await frames(viewer, 65)) == before + more
                await is_quiet(viewer)


@pytest.mark.parametrize("wish", ["?since=9000000", "?since=1&epoch=other"])
async def test_a_position_that_is_not_there_means_reload(severed: Severed, wish: str) -> None:
    async with severed.room() as talk:
        ids = await talk.say("one", "two")
        async with severed.watch(talk.room, wish) as viewer:
            told = await frame(viewer)
            assert (told["recovered"], told["position"]) == (False, ids[-1])
            await talk.say("three")
            assert contents(await frames(viewer, 1)) == ["three"]


async def test_subscribing_again_on_a_live_socket(severed: Severed) -> None:
    async with severed.room() as talk:
        ids = await talk.say("one", "two", "three")
        async with severed.watch(talk.room) as viewer:
            await viewer.send(subscribe(since=ids[0]))
            told = await frame(viewer)
            assert (told["type"], told["position"]) == ("subscribed", ids[0])
            assert contents(await frames(viewer, 2)) == ["two", "three"]
            for _ in range(20):  # only the last one counts
                await viewer.send(subscribe(since=ids[1], epoch=told["epoch"]))
            await viewer.send(subscribe())
            got = [await frame(viewer)]
            while got[-1]["type"] != "subscribed" or got[-1]["position"] != ids[2]:
                got.append(await frame(viewer))
            await talk.say("four")
            severed.forward(*await talk.log(after=ids[2]))
            assert contents(await frames(viewer, 1)) == ["four"]
            await is_quiet(viewer)


async def test_a_room_nobody_spoke_in_is_not_kept(severed: Severed) -> None:
    async with severed.watch(next(names)) as viewer:
        await is_quiet(viewer)


@pytest.mark.sqlite
async def test_a_replaced_log_closes_its_viewers_with_4002() -> None:
    async with running(Severed()) as pair:
        async with pair.room() as talk:
            ids = await talk.say("one", "two", "three")
            async with (
                pair.watch(talk.room) as live,
                pair.watch(talk.room, "?since=0") as replayed,
            ):
                old = (await frame(replayed))["epoch"]
                await frames(replayed, 3)
                former = (await talk.log())[0]
                await pair.mcp.stop()
                for file in pair.data_dir.glob("partyline.db*"):
                    file.unlink()
                await pair.mcp.start()
                for viewer in (live, replayed):
                    assert await closed_with(viewer) == 4002
        async with pair.room() as again:
            again.room = talk.room
            await again.ask("/api/sessions", {"purpose": "t", "session_id": talk.room})
            async with pair.watch(talk.room, f"?since={ids[1]}&epoch={old}") as viewer:
                told = await frame(viewer)
                assert (told["recovered"], told["position"]) == (False, 0)
                assert told["epoch"] != old
                pair.forward(former)
                await again.say("new")
                assert contents(await frames(viewer, 1)) == ["new"]
                await is_quiet(viewer)
