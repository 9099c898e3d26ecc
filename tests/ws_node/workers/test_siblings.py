"""Siblings on real sockets: what one passes on the other gets; nothing that comes stops it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from proto import wire
from proto.endpoints import worker_endpoint
from tests.waiting import until
from tests.ws_node.making import ignore, make_event, make_settings
from ws_node.presence.viewer_counts import ViewerCounts
from ws_node.rooms.event_queue import EventQueue
from ws_node.workers.siblings import Siblings


def sibling(directory: Path, worker: int, queue: EventQueue | None = None) -> Siblings:
    return Siblings(
        make_settings(directory, ws_workers=2),
        worker=worker,
        data_dir=directory,
        queue=EventQueue(16) if queue is None else queue,
        figures=lambda: [("viewers", "Viewers.", worker + 1)],
        watched=ViewerCounts({}, 1_000, on_change=ignore),
    )


@contextlib.asynccontextmanager
async def running(*siblings: Siblings) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in siblings]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_events_and_figures_cross_and_a_silent_one_is_away(tmp_path: Path) -> None:
    queue = EventQueue(16)
    first, second = sibling(tmp_path, 0), sibling(tmp_path, 1, queue)
    async with running(first):
        assert first.away() == 1
        async with running(second):
            await until(lambda: not first.away() and not second.away())
            assert first.all_figures() == {
                0: [("viewers", "Viewers.", 1.0)],
                1: [("viewers", "Viewers.", 2.0)],
            }
            durable, ephemeral = make_event(1), make_event(None)
            first.forward(durable)
            first.forward(ephemeral)
            await until(lambda: len(queue) == 2)
            assert queue.get_nowait() == [durable, ephemeral]
        await until(first.away)
        first.forward(durable)
        assert first.dropped == 1
        assert list(first.all_figures()) == [0]


async def test_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    first, second = sibling(tmp_path, 0), sibling(tmp_path, 1, EventQueue(4))
    async with running(first, second):
        await until(lambda: not first.away() and not second.away())  # sockets of both are up
        for id_ in range(1, 7):
            first.forward(make_event(id_))
        await until(lambda: second.overflowed == 2)


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"figures"],
        [b"figures", b"\xff"],
        [b"figures", msgspec.msgpack.encode((7, []))],
        [b"figures", msgspec.msgpack.encode((1, [["a", b"\xff", "x"]]))],
        [b"figures", b"\x92\x01\x91\x93\xa1\xff\xa1\xff\x01"],
        [b"figures", b"\x91" * 5_000],
        [b"room", b"\xc0", b"{}"],
        [b"x", b"y", b"z", b"w"],
    ],
    ids=range(9),
)
async def test_malformed_messages_of_siblings_are_counted_and_do_not_stop_it(
    tmp_path: Path, frames: list[bytes]
) -> None:
    queue = EventQueue(16)
    own = sibling(tmp_path, 0, queue)
    context: zmq.Context[Any] = zmq.Context()
    async with running(own):
        push = context.socket(zmq.PUSH)
        push.connect(worker_endpoint(tmp_path, 0))
        push.send_multipart(frames)
        push.send_multipart(wire.encode(make_event(1)))
        await until(lambda: len(queue) == 1)
        assert own.malformed == 1
        assert own.away() == 1
    context.destroy(linger=0)


async def test_a_single_worker_has_no_siblings_and_no_socket(tmp_path: Path) -> None:
    alone = Siblings(
        make_settings(tmp_path),
        worker=0,
        data_dir=tmp_path,
        queue=EventQueue(16),
        figures=lambda: [("viewers", "Viewers.", True)],
        watched=ViewerCounts({}, 1_000, on_change=ignore),
    )
    async with running(alone):
        alone.forward(make_event(1))
        assert (alone.away(), alone.dropped) == (0, 0)
        assert alone.all_figures() == {0: [("viewers", "Viewers.", 1.0)]}
        assert not os.listdir(tmp_path)
