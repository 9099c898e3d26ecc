"""The queue: order, both bounds, room kept for messages, and waking its reader."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.wire import Event
from tests.waiting import PATIENCE
from tests.ws_node.making import make_event
from ws_node.rooms.event_queue import MAX_BYTES, EventQueue, FetchFailed
from ws_node.rooms.follower import RoomFollower


async def test_everything_comes_out_at_once_in_order() -> None:
    queue = EventQueue(16)
    answer = FetchFailed("room", RoomFollower())
    items = [make_event(1), make_event(None), answer, make_event(2)]
    for item in items:
        if isinstance(item, Event):
            assert queue.put(item)
        else:
            queue.put_answer(item)
    assert len(queue) == 4
    assert await queue.get() == items
    assert len(queue) == 0


@pytest.mark.parametrize("put_first", [True, False])
async def test_the_reader_wakes_up(put_first: bool) -> None:
    queue = EventQueue(16)
    reader = asyncio.ensure_future(queue.get())
    if not put_first:
        await asyncio.sleep(0)
        assert not reader.done()
    queue.put(make_event(1))
    queue.put(make_event(2))
    assert len(await asyncio.wait_for(reader, PATIENCE)) == 2


async def test_a_cancelled_reader_loses_nothing() -> None:
    queue = EventQueue(16)
    reader = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    queue.put(make_event(1))
    assert await asyncio.wait_for(queue.get(), PATIENCE) == [make_event(1)]


@given(st.integers(4, 40), st.lists(st.booleans(), max_size=120))
def test_a_quarter_is_kept_for_messages(most: int, kinds: list[bool]) -> None:
    queue = EventQueue(most)
    waiting = 0
    for durable in kinds:
        fits = waiting < (most if durable else most - most // 4)
        assert queue.put(make_event(1 if durable else None)) is fits
        waiting += fits
    assert len(queue) == waiting <= most


def test_external_bytes_leave_room_for_messages() -> None:
    queue = EventQueue(1_000)
    body = b"x" * 2_097_152
    taken = 0
    while queue.put(make_event(None, body)):
        taken += 1
    assert taken * len(body) <= MAX_BYTES * 3 // 4
    assert queue.put(make_event(1, body))


async def test_bytes_are_bounded_and_free_again_once_taken() -> None:
    queue = EventQueue(1_000)
    body = b"x" * 2_097_152
    taken = 0
    while queue.put(make_event(1, body)):
        taken += 1
    assert taken == MAX_BYTES // len(body)
    queue.put_answer(FetchFailed("room", RoomFollower()))  # always fits
    assert len(await queue.get()) == taken + 1
    assert queue.put(make_event(1, body))


def test_a_single_event_larger_than_the_bound_passes_alone() -> None:
    queue = EventQueue(16)
    assert queue.put(make_event(1, bytes(MAX_BYTES + 1)))
    assert not queue.put(make_event(2))
