"""The hub, its rooms and its fan-out on real connections; history's answers are put in by hand."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proto.messages import Audience, Message, Visibility, encode_metadata
from tests.clients import closed_with, is_quiet
from tests.waiting import PATIENCE, until
from tests.ws_node.making import EPOCH, Live, make_event
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.event_queue import FetchFailed, HeadSeen, PageFound, PositionFound
from ws_node.rooms.fan_out import joined
from ws_node.rooms.framing import Framing
from ws_node.rooms.outgoing import Outgoing
from ws_node.rooms.room import Room

NAMED = {"bob": "codex", "alice": "claude"}


def body(id_: int) -> bytes:
    return b'{"n":%d}' % id_


def message(id_: int) -> Message:
    return Message(
        id_, id_ - 1, "room", "alice", "alice", "claude", str(id_), Visibility.PUBLIC,
        "2026-11-23T00:00:00.000000Z", encode_metadata(None), None,
    )  # fmt: skip


async def numbers(viewer: Any, count: int) -> list[int]:
    got = [json.loads(await asyncio.wait_for(viewer.recv(), PATIENCE)) for _ in range(count)]
    return [one["n"] if "n" in one else one["position"] for one in got]


def page(room: Room, *ids: int, head: int) -> PageFound:
    messages = [message(id_) for id_ in ids]
    return PageFound("room", room.follower, EPOCH, messages, ids[-1], head)


async def test_everybody_gets_what_it_may_see_in_order(tmp_path: Path) -> None:
    def header(name: str) -> dict[str, str]:
        return {"X-Partyline-Agent": name, "X-Partyline-Agent-Type": NAMED[name]}

    async with Live(tmp_path).running() as live:
        live.open_room()
        async with (
            live.viewer() as anybody,
            live.viewer(additional_headers=header("alice")) as alice,
            live.viewer(additional_headers=header("bob")) as bob,
        ):
            for id_, visibility in enumerate(Visibility, 1):
                live.queue.put(make_event(id_, body(id_), visibility=visibility))
            live.queue.put(make_event(5, body(5)))
            assert await numbers(anybody, 2) == [1, 5]
            assert await numbers(alice, 4) == [1, 2, 3, 5]
            assert await numbers(bob, 2) == [1, 5]
            for viewer in (anybody, alice, bob):
                await is_quiet(viewer)


async def test_what_comes_twice_goes_by_once_and_is_counted(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        live.open_room()
        async with live.viewer() as viewer:
            for id_ in (1, 2, 2, 1, 3):
                live.queue.put(make_event(id_, body(id_)))
            live.queue.put(make_event(None, body(0)))
            assert await numbers(viewer, 4) == [1, 2, 3, 0]
        assert (live.hub.counts.duplicates, live.dispatcher.ephemeral) == (2, 1)


def test_a_batch_is_joined_for_an_audience_and_a_framing() -> None:
    public = [Outgoing(make_event(id_), b"%d" % id_) for id_ in range(1, 4)]
    hidden = Outgoing(make_event(4, visibility=Visibility.PRIVATE), b"4")
    both = [*public, hidden]
    socket, stream = Framing.WEBSOCKET, Framing.EVENT_STREAM
    assert joined(public, Audience("x", "y"), socket) == (b"123", 3)
    assert joined(both, Audience("x", "y"), socket) == (b"123", 3)
    assert joined(both, Audience("alice", "y"), socket) == (b"1234", 4)
    assert joined([hidden], Audience("x", "y"), socket) == (b"", 0)
    assert joined([hidden], Audience("alice", "y"), stream) == (b"id: 4\ndata: {}\n\n", 1)


async def test_a_batch_larger_than_a_write_arrives_whole(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        live.open_room()
        async with live.viewer() as viewer:
            padding = b" " * 200_000
            for id_ in range(1, 31):
                assert live.queue.put(make_event(id_, body(id_) + padding))
            assert await numbers(viewer, 30) == list(range(1, 31))


async def test_a_gap_holds_its_room_alone(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        wanted: list[Room] = []
        live.on_want = lambda room: wanted.append(room) if room.follower.ask().value else None
        room = live.open_room()
        live.open_room(session_id="other")
        async with live.viewer() as viewer, live.viewer("other") as other:
            room.follower.failed()
            live.queue.put(make_event(3, body(3)))
            live.queue.put(make_event(1, body(1), session_id="other"))
            assert await numbers(other, 1) == [1]
            await is_quiet(viewer)
            assert wanted[-1] is room
            live.queue.put_answer(page(room, 1, 2, head=3))
            assert await numbers(viewer, 3) == [1, 2, 3]
            live.queue.put_answer(HeadSeen("room", room.follower, EPOCH, 5))
            await until(lambda: room.follower.behind == 2)
            live.queue.put_answer(page(room, 4, 5, head=5))
            assert await numbers(viewer, 2) == [4, 5]
            await is_quiet(viewer)


async def test_answers_to_a_former_follower_reach_nobody(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        room = live.open_room()
        former = room.follower
        room.reset()
        current = room.follower
        assert current.ask().value == "position"
        for answer in (
            PositionFound("room", former, EPOCH, 7, 7, []),
            PageFound("room", former, EPOCH, [message(1)], 1, 1),
            HeadSeen("room", former, EPOCH, 99),
            FetchFailed("room", former),
        ):
            live.queue.put_answer(answer)
        await until(lambda: len(live.queue) == 0)
        assert (current.last, current.ask().value) == (None, "nothing")
        assert not room.positioned.is_set()


async def test_a_position_in_a_log_that_is_not_the_nodes_is_asked_again(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        room = live.open_room()
        room.reset()
        room.follower.ask()
        asked: list[Room] = []
        live.on_want = asked.append
        live.queue.put_answer(PositionFound("room", room.follower, "late", 7, 7, []))
        await until(lambda: asked)
        assert (live.hub.epoch, room.follower.last) == (EPOCH, None)


async def test_another_epoch_sends_away_who_is_live_and_who_catches_up(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        room = live.open_room(head=10)
        async with live.viewer() as viewer, live.viewer(query="?since=3") as catching_up:
            await until(lambda: len(live.hub.connected) == 2)
            assert json.loads(await catching_up.recv())["position"] == 3
            live.hub.set_epoch(EPOCH)
            await is_quiet(viewer)
            live.hub.set_epoch("e2")
            assert await closed_with(viewer) == await closed_with(catching_up) == 4002
            assert (room.follower.epoch, room.ring, room.promise) == (None, None, None)
        await until(lambda: not live.hub.connected)


async def test_a_log_that_lost_its_end_sends_away_who_is_beyond(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        live.open_room(head=10)
        live.open_room(head=4, session_id="other")
        async with live.viewer() as beyond, live.viewer("other") as other:
            live.hub.set_head(4)
            assert await closed_with(beyond) == 4002
            await is_quiet(other)
            assert live.hub.log_position == 4


async def test_subscribing_during_the_fan_out_neither_repeats_nor_loses(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        live.open_room()
        async with live.viewer() as viewer:
            await until(lambda: live.hub.connected)

            async def speak() -> None:
                for id_ in range(1, 1_001):
                    live.queue.put(make_event(id_, b'{"position":%d}' % id_))
                    if id_ % 7 == 0:
                        await asyncio.sleep(0)

            speaking = asyncio.create_task(speak())
            for _ in range(20):
                await viewer.send('{"type":"subscribe"}')
                await asyncio.sleep(0)
            await speaking
            await viewer.send('{"type":"subscribe","since":900}')
            got: list[dict[str, Any]] = []
            while not got or got[-1]["position"] != 900 or "recovered" not in got[-1]:
                got.append(json.loads(await asyncio.wait_for(viewer.recv(), PATIENCE)))
            last = 0
            for one in got[:-1]:
                if "recovered" in one:
                    last = one["position"]
                else:
                    assert one["position"] == last + 1 or last == 0
                    last = one["position"]
            assert await numbers(viewer, 100) == list(range(901, 1_001))
            await is_quiet(viewer)


async def test_a_room_that_fails_sends_its_viewers_away_and_starts_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Live(tmp_path).running() as live:
        room = live.open_room()
        live.open_room(session_id="other")
        async with live.viewer() as viewer, live.viewer("other") as other:
            broken = PageFound("room", room.follower, EPOCH, [None], 1, 1)  # type: ignore[list-item]
            live.queue.put_answer(broken)
            live.queue.put(make_event(1, body(1), session_id="other"))
            assert await closed_with(viewer) == 4001
            assert await numbers(other, 1) == [1]
            assert (room.follower.last, room.ring) == (None, None)
    assert "a room failed" in caplog.text


async def test_rooms_that_remember_nothing_go_at_once_others_linger(tmp_path: Path) -> None:
    async with Live(tmp_path, room_linger_seconds=0).running() as live:
        live.hub.epoch = EPOCH
        async with live.viewer("empty-1"), live.viewer("empty-1"):
            assert live.hub.rooms["empty-1"].promise is not None
        await until(lambda: not live.hub.rooms)
        room = live.open_room()
        async with live.viewer() as viewer:
            live.queue.put(make_event(1, body(1)))
            await numbers(viewer, 1)
        await until(lambda: not live.hub.connected and room.references == 1)
        live.hub.leave(room)
        assert room.idle_since is not None
        assert "room" in live.hub.rooms
        await asyncio.sleep(0.01)
        live.hub.sweep()
        assert not live.hub.rooms


async def test_a_dead_token_ends_its_connection(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        live.open_room()
        async with live.viewer() as viewer:
            await until(lambda: live.hub.connected)
            viewer_here = next(iter(live.hub.connected))
            viewer_here.principal = msgspec.structs.replace(viewer_here.principal, expires_at=1)
            live.hub.sweep()
            assert await closed_with(viewer) == Disconnect.TOKEN_EXPIRED.code


async def test_waiting_for_a_position_leaves_nothing_behind_when_cancelled(tmp_path: Path) -> None:
    room = Live(tmp_path).open_room()
    room.learn_head(5)
    waiting = [asyncio.create_task(room.reached(5)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    assert len(room._reached) == 2
    room.deliver(room.follower.feed([make_event(id_) for id_ in range(1, 6)]))
    await asyncio.wait_for(asyncio.gather(*waiting[1:]), PATIENCE)
    assert room._reached == []


async def test_a_gap_is_told_by_how_much_and_since_when(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        room = live.open_room()
        assert live.hub.behind() is None
        live.queue.put(make_event(7))
        await until(lambda: live.hub.behind() is not None)
        behind = live.hub.behind()
        assert behind is not None
        assert (behind.rooms, behind.ids) == (1, 7)
        assert 0 <= time.time() - behind.since < 30
        live.queue.put_answer(page(room, *range(1, 8), head=7))
        await until(lambda: live.hub.behind() is None)
