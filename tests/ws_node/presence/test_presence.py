"""Presence on real connections, while mcp_node is away: who asked is told, and nobody else."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import closed_with, frame
from tests.waiting import PATIENCE, until
from tests.ws_node.making import Live, make_event
from ws_node.presence.presence import MAX_UNSENT_BYTES, Presence
from ws_node.presence.viewer_counts import ViewerCounts
from ws_node.rooms.room_presence import EVERY_SECONDS

ASKING = "?presence=1"


@contextlib.asynccontextmanager
async def live(
    directory: Path, **settings: Any
) -> AsyncIterator[tuple[Live, Presence, ViewerCounts]]:
    """A hub with presence; its room has no viewers yet. There is no mcp_node."""
    made = Live(directory, **settings)
    watched = ViewerCounts(
        made.hub.rooms, 1_000_000, on_change=lambda session_id: presence.counts_changed(session_id)
    )
    presence = Presence(made.hub, made.history, watched)
    made.on_attendance = presence.attendance_changed
    made.open_room().references = 0  # what holds it open here is no viewer
    telling = asyncio.create_task(presence.run())
    try:
        async with made.running():
            yield made, presence, watched
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def viewers_seen(viewer: Any, count: int) -> dict[str, Any]:
    """The first presence frame with so many viewers."""
    while True:
        told = await frame(viewer)
        assert told["type"] == "presence"
        if told["data"]["viewers"] == count:
            return told


async def test_who_asks_is_told_at_once_and_of_every_change(tmp_path: Path) -> None:
    async with live(tmp_path) as (here, _, watched):
        async with here.viewer(query=ASKING) as first:
            told = await frame(first)
            assert told == {
                "type": "presence",
                "session_id": "room",
                "data": {"viewers": 1, "agents": None},  # mcp_node is away
            }
            async with here.viewer(query=ASKING) as second, here.viewer(), here.viewer():
                await viewers_seen(first, 4)
                await viewers_seen(second, 4)
            await viewers_seen(first, 1)
            watched.update(1, {"room": 5, "elsewhere": 1})
            await viewers_seen(first, 6)
        await until(lambda: "room" not in here.hub.rooms)
        watched.update(1, {})  # nobody is there to be told


async def test_who_did_not_ask_gets_the_first_event_first(tmp_path: Path) -> None:
    async with live(tmp_path) as (here, presence, _):
        async with here.viewer() as plain, here.viewer(query="?presence=0") as declined:
            async with here.viewer(query=ASKING) as asking:
                await viewers_seen(asking, 3)
            async with here.viewer(query=ASKING) as asking:
                await viewers_seen(asking, 3)
            here.queue.put(make_event(None, b'{"type":"note"}'))
            for viewer in (plain, declined):
                assert (await frame(viewer)) == {"type": "note"}
        assert presence.sent >= 2


async def test_presence_can_be_asked_for_and_declined_with_subscribe(tmp_path: Path) -> None:
    async with live(tmp_path) as (here, _, watched), here.viewer() as viewer:
        for asks, answers in ((True, True), (None, True), (False, False), (None, False)):
            command = {"type": "subscribe"} | ({} if asks is None else {"presence": asks})
            await viewer.send(json.dumps(command))
            subscribed = await frame(viewer)
            assert subscribed["type"] == "subscribed"
            if answers:
                assert (await frame(viewer))["type"] == "presence"
            else:
                watched.update(1, {"room": 7})
        await until(lambda: not here.hub.rooms["room"].presence.subscribed)
        here.queue.put(make_event(None, b'{"type":"note"}'))
        assert (await frame(viewer)) == {"type": "note"}


@pytest.mark.parametrize("query", ["?presence=yes", "?presence=", "?presence=1&presence=1"])
async def test_a_bad_presence_query_is_refused(tmp_path: Path, query: str) -> None:
    async with live(tmp_path) as (here, _, _), here.viewer(query=query) as viewer:
        assert await closed_with(viewer) == 4502


@pytest.mark.parametrize("value", ["1", '"true"', "[]"])
async def test_a_bad_presence_command_is_refused(tmp_path: Path, value: str) -> None:
    async with live(tmp_path) as (here, _, _), here.viewer() as viewer:
        await viewer.send(f'{{"type":"subscribe","presence":{value}}}')
        answer = await frame(viewer)
        assert (answer["type"], answer["code"]) == ("error", "INVALID_INPUT")


async def test_however_much_happens_few_frames_come(tmp_path: Path) -> None:
    async with live(tmp_path) as (here, presence, watched), here.viewer(query=ASKING) as viewer:
        await viewers_seen(viewer, 1)
        began, before = time.monotonic(), presence.sent
        for number in range(200):
            watched.update(1, {"room": number + 1})
            await asyncio.sleep(0.01)
        await viewers_seen(viewer, 201)
        most = (time.monotonic() - began) / EVERY_SECONDS + 2
        assert 1 < presence.sent - before <= most


async def test_nothing_is_sent_or_asked_while_nothing_changes(tmp_path: Path) -> None:
    async with live(tmp_path) as (here, presence, watched):
        async with here.viewer():
            for number in range(20):
                watched.update(1, {"room": number})
            await asyncio.sleep(0)
            assert (presence.sent, here.history.requests) == (0, 0)  # nobody asked
        async with here.viewer(query=ASKING) as viewer:
            await viewers_seen(viewer, 20)
            told = presence.sent
            for _ in range(20):
                watched.update(1, {"room": 20})
                watched.update(1, {"room": 19})
            await until(lambda: not presence._changed and not presence._later)
            assert presence.sent == told


async def test_a_viewer_that_catches_up_is_not_told(tmp_path: Path) -> None:
    async with live(tmp_path) as (here, presence, watched), here.viewer(query=ASKING) as one:
        await viewers_seen(one, 1)
        await one.send('{"type":"subscribe","since":9}')  # beyond the head: it waits for mcp_node
        await until(lambda: not here.hub.rooms["room"].presence.subscribed)
        told = presence.sent
        watched.update(1, {"room": 3})
        here.queue.put(make_event(None, b'{"type":"note"}'))
        await one.send("ping")
        assert await one.recv() == "pong"
        assert presence.sent == told


async def test_who_does_not_read_is_skipped_and_delays_nobody(tmp_path: Path) -> None:
    async with live(tmp_path, max_unsent_bytes=67_108_864) as (here, presence, watched):
        stuck = await slow_asker(here)
        async with here.viewer(query=ASKING, max_size=None) as viewer:
            await viewers_seen(viewer, 2)
            here.queue.put(make_event(None, b'"' + b"x" * 8_000_000 + b'"'))
            outlet = here.connections[0].outlet
            await until(lambda: outlet.get_write_buffer_size() > MAX_UNSENT_BYTES)
            assert len(await asyncio.wait_for(viewer.recv(), PATIENCE)) > 1_000
            watched.update(1, {"room": 8})
            await viewers_seen(viewer, 10)
            assert presence.skipped >= 1
            assert here.hub.fan_out.slow == 0
        stuck.close()


async def slow_asker(here: Live) -> socket.socket:
    """A viewer that asks and then reads nothing more."""
    stuck = await here.raw_viewer(f"room{ASKING}")
    room = here.hub.rooms["room"]
    await until(lambda: room.presence.subscribed)
    return stuck
