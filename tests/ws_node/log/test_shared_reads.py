"""Many viewers read the log with few questions, and what they are given has no hole."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proto.internal_api import LogPage
from proto.messages import Audience, Message, Visibility
from proto.visibility import may_see
from tests.waiting import PATIENCE, until
from tests.ws_node.making import EPOCH, make_event, make_settings
from ws_node.log.client import HistoryUnavailable
from ws_node.log.shared_reads import LogRange, SharedReads
from ws_node.rooms.follower import RoomFollower
from ws_node.rooms.framing import Framing
from ws_node.rooms.room import Room

ALICE, BOB = Audience("alice", "claude"), Audience("bob", "codex")


def message(id_: int, visibility: Visibility = Visibility.PUBLIC) -> Message:
    return Message(
        id_, id_ - 1, "room", "alice", "alice", "claude", f"{id_}", visibility, "t",
        msgspec.Raw(b"{}"), None,
    )  # fmt: skip


class Log:
    """Stands for `History`: a session whose log is at hand, and that answers when told to."""

    def __init__(self, *messages: Message, page: int = 500) -> None:
        self.messages = list(messages)
        self.page = page
        self.questions: list[tuple[int, Audience | None]] = []
        self.may_answer = asyncio.Event()
        self.away = False
        self.epoch = EPOCH

    async def visible_log(self, _: str, after: int, audience: Audience | None) -> LogPage:
        self.questions.append((after, audience))
        await self.may_answer.wait()
        if self.away:
            raise HistoryUnavailable("gone")
        found = [
            one
            for one in self.messages
            if one.id > after
            and (
                audience is None
                or may_see(audience, one.visibility, one.principal, one.sender_type)
            )
        ]
        head = self.messages[-1].id
        through = found[self.page - 1].id if len(found) > self.page else head
        return LogPage(self.epoch, head, through, found[: self.page])


def open_room(directory: Path, head: int, **settings: Any) -> Room:
    room = Room("room", make_settings(directory, **settings))
    room.follower.positioned(EPOCH, head)
    room.open_ring()
    return room


def ids(stretch: LogRange, position: int, audience: Audience) -> list[int]:
    """What a viewer at a position gets out of a stretch."""
    raw, more = stretch.messages.after(position, audience, Framing.EVENT_STREAM, 1 << 30)
    assert more is None
    return [int(line[4:]) for line in raw.splitlines() if line.startswith(b"id: ")]


@contextlib.asynccontextmanager
async def asking(
    reads: SharedReads, room: Room, *askers: tuple[int, Audience]
) -> AsyncIterator[list[asyncio.Task[LogRange]]]:
    tasks = [asyncio.create_task(reads.after(room, *asker)) for asker in askers]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_hundred_places_and_audiences_need_a_few_questions(tmp_path: Path) -> None:
    log = Log(*(message(id_) for id_ in range(1, 401)))
    reads = SharedReads(log)  # type: ignore[arg-type]
    room = open_room(tmp_path, 400)
    askers = [(137 * n % 390, Audience(f"viewer-{n}", "browser")) for n in range(100)]
    log.may_answer.set()
    async with asyncio.timeout(PATIENCE), asking(reads, room, *askers) as tasks:
        for (position, audience), stretch in zip(askers, await asyncio.gather(*tasks), strict=True):
            assert stretch.through == 400
            assert ids(stretch, position, audience) == list(range(position + 1, 401))
    assert len(log.questions) < 12
    await until(lambda: not reads._waiters)


async def test_those_served_are_within_the_stretch_the_others_ask_again(tmp_path: Path) -> None:
    log = Log(*(message(id_) for id_ in range(1, 41)), page=10)
    reads = SharedReads(log)  # type: ignore[arg-type]
    room = open_room(tmp_path, 40)
    log.may_answer.set()
    askers = [(10, ALICE), (19, BOB), (20, BOB), (9, ALICE), (29, ALICE)]
    async with asyncio.timeout(PATIENCE), asking(reads, room, *askers) as tasks:
        found = await asyncio.gather(*tasks)
    assert [stretch.through for stretch in found] == [20, 20, 30, 19, 30]
    assert [after for after, _ in log.questions] == [10, 20, 9]


async def test_who_is_alone_gets_a_filtered_stretch_once_the_past_was_read(tmp_path: Path) -> None:
    log = Log(*(message(id_, Visibility.PRIVATE) for id_ in range(1, 31)), page=10)
    reads = SharedReads(log)  # type: ignore[arg-type]
    room = open_room(tmp_path, 30)
    log.may_answer.set()
    first = await reads.after(room, 0, BOB)
    assert (first.through, ids(first, 0, BOB)) == (10, [])
    second = await reads.after(room, first.through, BOB)
    assert (second.through, ids(second, 10, BOB)) == (30, [])
    assert log.questions == [(0, None), (10, BOB)]


async def test_a_filtered_stretch_serves_its_audience_alone_and_no_ring(tmp_path: Path) -> None:
    log = Log(*(message(id_, Visibility.PRIVATE) for id_ in range(1, 6)))
    reads = SharedReads(log)  # type: ignore[arg-type]
    room = open_room(tmp_path, 5)
    assert room.ring is not None
    room.ring.past_read = True
    async with (
        asyncio.timeout(PATIENCE),
        asking(reads, room, (0, BOB)) as (bob,),
        asking(reads, room, (1, ALICE)) as (alice,),
    ):
        log.may_answer.set()
        assert ids(await bob, 0, BOB) == []
        assert ids(await alice, 1, ALICE) == [2, 3, 4, 5]
    assert log.questions == [(0, BOB), (1, ALICE)]
    assert room.ring.floor == 5


async def test_what_meets_the_ring_extends_it_within_its_bounds(tmp_path: Path) -> None:
    log = Log(*(message(id_) for id_ in range(1, 31)))
    reads = SharedReads(log)  # type: ignore[arg-type]
    log.may_answer.set()
    room = open_room(tmp_path, 28)
    await reads.after(room, 7, ALICE)
    assert room.ring is not None
    assert (room.ring.floor, len(room.ring), room.remembers) == (7, 21, True)
    small = open_room(tmp_path, 30, room_ring_messages=4)
    await reads.after(small, 7, ALICE)
    assert small.ring is not None
    assert (small.ring.floor, len(small.ring)) == (26, 4)


async def test_what_went_by_as_the_room_opened_is_not_there_twice(tmp_path: Path) -> None:
    """Messages held until the position was known are below the ring's floor already."""
    log = Log(*(message(id_) for id_ in range(1, 31)))
    log.may_answer.set()
    reads = SharedReads(log)  # type: ignore[arg-type]
    room = Room("room", make_settings(tmp_path))
    room.follower.feed([make_event(29), make_event(30)])
    held = room.follower.positioned(EPOCH, 28)
    room.open_ring()
    assert len(room.deliver(held)) == 2
    await reads.after(room, 7, ALICE)
    assert room.ring is not None
    assert ids(LogRange(EPOCH, 30, 30, room.ring), 7, ALICE) == list(range(8, 31))


@pytest.mark.parametrize("how", ["another log", "too short", "room started over"])
async def test_what_does_not_meet_the_ring_leaves_it(tmp_path: Path, how: str) -> None:
    log = Log(*(message(id_) for id_ in range(1, 31)), page=5 if how == "too short" else 500)
    reads = SharedReads(log)  # type: ignore[arg-type]
    room = open_room(tmp_path, 30)
    if how == "another log":
        log.epoch = "e2"
    async with asyncio.timeout(PATIENCE), asking(reads, room, (7, ALICE)) as (asked,):
        if how == "room started over":
            room.reset()
            assert isinstance(room.follower, RoomFollower)
            room.follower.positioned("e2", 30)
            room.open_ring()
        log.may_answer.set()
        assert (await asked).epoch == log.epoch
    assert room.ring is not None
    assert (room.ring.floor, len(room.ring)) == (30, 0)


async def test_history_away_reaches_every_asker_and_the_next_may_ask_again(tmp_path: Path) -> None:
    log = Log(message(1))
    reads = SharedReads(log)  # type: ignore[arg-type]
    room = open_room(tmp_path, 1)
    log.away = True
    async with asyncio.timeout(PATIENCE), asking(reads, room, (0, ALICE), (0, BOB)) as tasks:
        tasks[0].cancel()
        log.may_answer.set()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in ended] == [asyncio.CancelledError, HistoryUnavailable]
    log.away = False
    assert ids(await reads.after(room, 0, BOB), 0, BOB) == [1]


async def test_an_asker_that_leaves_does_not_disturb_the_others(tmp_path: Path) -> None:
    log = Log(*(message(id_) for id_ in range(1, 6)))
    reads = SharedReads(log)  # type: ignore[arg-type]
    room = open_room(tmp_path, 5)
    async with (
        asyncio.timeout(PATIENCE),
        asking(reads, room, (3, ALICE), (1, BOB)) as (first, second),
    ):
        first.cancel()
        log.may_answer.set()
        assert ids(await second, 1, BOB) == [2, 3, 4, 5]
