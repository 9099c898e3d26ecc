"""Where a subscription starts: a position of the log, up to which the room is known."""

import json
from pathlib import Path
from typing import Any

import pytest

from proto.messages import Visibility
from tests.clients import frame, is_quiet
from tests.waiting import until
from tests.ws_node.making import EPOCH, Live, make_event
from tests.ws_node.rooms.test_hub import body, numbers


async def subscribed(viewer: Any, **wish: Any) -> tuple[int, bool]:
    """The answer to a subscription of ``room``."""
    await viewer.send(json.dumps({"type": "subscribe", "session_id": "room", **wish}))
    answer = await frame(viewer)
    assert answer["type"] == "subscribed"
    return answer["position"], answer["recovered"]


async def test_a_position_moves_with_the_whole_log(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        live.open_room(head=3)
        live.open_room(session_id="other")
        live.hub.learn_heads({}, 7)
        async with live.viewer() as viewer:
            assert await subscribed(viewer) == (7, True)
            for id_, session_id in ((8, "other"), (9, "not watched"), (10, "other")):
                live.queue.put(make_event(id_, session_id=session_id, prev=0))
            await until(lambda: live.hub.seen_through == 10)
            assert await subscribed(viewer) == (10, True)
            for since in (3, 4, 9, 10):
                assert await subscribed(viewer, since=since, epoch=EPOCH) == (since, True)
            assert await subscribed(viewer, since=5, epoch="other") == (10, False)
            live.queue.put(make_event(11, body(11), prev=3))
            assert await numbers(viewer, 1) == [11]
            await is_quiet(viewer)


async def test_what_comes_after_a_hole_in_the_log_is_replayed(tmp_path: Path) -> None:
    """Message 2 of another session was lost: from now on means from the hole on."""
    async with Live(tmp_path).running() as live:
        room = live.open_room()
        async with live.viewer() as viewer:
            live.queue.put(make_event(1, body(1)))
            live.queue.put(make_event(3, body(3), prev=1))
            assert await numbers(viewer, 2) == [1, 3]
            assert live.hub.position_of(room) == 1
            assert await subscribed(viewer) == (1, True)
            assert await numbers(viewer, 1) == [3]
            live.hub.learn_heads({"room": 3}, 3)
            live.queue.put(make_event(4, body(4)))
            assert await numbers(viewer, 1) == [4]
            assert await subscribed(viewer) == (4, True)
            await is_quiet(viewer)


@pytest.mark.parametrize("since", [None, 12])
async def test_what_is_on_its_way_is_not_sent_again(tmp_path: Path, since: int | None) -> None:
    """The log was seen to have 12 in this room, which has not come by yet."""
    async with Live(tmp_path).running() as live:
        room = live.open_room(head=10)
        live.hub.learn_heads({"room": 12}, 12)
        async with live.viewer() as viewer, live.viewer() as stays:
            assert await subscribed(viewer, **({} if since is None else {"since": since})) == (
                12,
                True,
            )
            await is_quiet(viewer)
            assert not room.complete(12)
            live.queue.put(make_event(12, body(12), prev=10))
            assert await numbers(stays, 1) == [12]
            live.queue.put(make_event(13, body(13)))
            assert await numbers(stays, 1) == await numbers(viewer, 1) == [13]
            await is_quiet(viewer)


async def test_who_comes_back_to_a_message_it_saw_needs_nobody(tmp_path: Path) -> None:
    """Also behind a hole in the log, with mcp_node away; a hidden message does not help."""
    async with Live(tmp_path).running() as live:
        live.open_room()
        async with live.viewer() as viewer:
            live.queue.put(make_event(3, body(3), prev=0))
            live.queue.put(make_event(4, body(4), visibility=Visibility.PRIVATE))
            live.queue.put(make_event(5, body(5)))
            assert await numbers(viewer, 2) == [3, 5]
            assert await subscribed(viewer, since=3) == (3, True)
            assert await numbers(viewer, 1) == [5]
            for since in (4, 9):
                await viewer.send(json.dumps({"type": "subscribe", "since": since}))
                await is_quiet(viewer)
            assert await subscribed(viewer, since=5) == (5, True)
            await is_quiet(viewer)


async def test_another_log_or_a_shorter_one_is_known_anew(tmp_path: Path) -> None:
    async with Live(tmp_path).running() as live:
        room = live.open_room(head=3)
        live.hub.learn_heads({"room": 6}, 9)
        live.hub.set_head(5)
        assert (live.hub.position_of(room), room.complete(5)) == (5, False)
        live.hub.set_epoch("e2")
        assert (live.hub.position_of(room), room.complete(0)) == (0, False)
