"""Memory in the store: quotas, the sweep beside writers, restarts, and one writer at a time."""

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from mcp_node.log.interface import Database
from mcp_node.memory import reads as memory
from mcp_node.memory import rows as writes
from mcp_node.memory.rows import DeleteMemory, EntryKey, MemoryLimits, SetMemory, SweepMemory
from mcp_node.storage import SCHEMA
from proto.errors import MemoryExists, MemoryNotFound, RateLimited, SessionNotFound
from tests.mcp_node import storing
from tests.mcp_node.making import everything, new_message, new_session, opened

AMPLE = MemoryLimits(10_000, 64 * 1024 * 1024)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def at(key: str = "k", principal: str = "alice", session: str = "") -> EntryKey:
    return EntryKey(principal, session, key)


def setting(
    clock: Clock,
    place: EntryKey,
    value: str = "1",
    seconds: int | None = None,
    *,
    overwrite: bool = True,
    limits: MemoryLimits = AMPLE,
) -> SetMemory:
    raw = msgspec.Raw(value.encode())
    return SetMemory(place, raw, seconds, overwrite=overwrite, limits=limits, clock=clock)


async def value(store: Database, place: EntryKey, now: float) -> str | None:
    try:
        memo = await store.read(lambda connection: memory.get(connection, place, now))
    except MemoryNotFound:
        return None
    return bytes(memo.value).decode()


async def rows(store: Database) -> int:
    count = "SELECT count(*) FROM memory"
    return int((await store.read(lambda connection: connection.execute(count).fetchone()))[0])


async def test_keys_are_counted_per_principal_and_only_while_they_live(
    store: Database, clock: Clock
) -> None:
    two = MemoryLimits(2, 1_000)
    await store.write(setting(clock, at("a"), limits=two))
    await store.write(setting(clock, at("b", session="room"), seconds=10, limits=two))
    with pytest.raises(RateLimited, match=r"keys.*MAX_MEMORY_ENTRIES_PER_PRINCIPAL"):
        await store.write(setting(clock, at("c"), limits=two))
    await store.write(setting(clock, at("a"), "2", limits=two))
    await store.write(setting(clock, at("c", "bob"), limits=two))
    clock.now += 10
    await store.write(setting(clock, at("c"), limits=two))
    with pytest.raises(RateLimited):
        await store.write(setting(clock, at("b", session="room"), limits=two))
    assert await store.write(DeleteMemory(at("a"), clock))
    await store.write(setting(clock, at("b", session="room"), limits=two))


async def test_bytes_are_those_of_all_values_after_the_write(store: Database, clock: Clock) -> None:
    ten = MemoryLimits(100, 10)
    await store.write(setting(clock, at("a"), "1234", limits=ten))
    await store.write(setting(clock, at("b"), "123456", limits=ten))
    with pytest.raises(RateLimited, match=r"bytes.*MAX_MEMORY_BYTES_PER_PRINCIPAL"):
        await store.write(setting(clock, at("a"), "12345", limits=ten))
    assert await value(store, at("a"), clock.now) == "1234"
    await store.write(setting(clock, at("b"), "12345", limits=ten))
    await store.write(setting(clock, at("a"), "12345", limits=ten))


async def test_concurrent_writes_do_not_exceed_the_quota(store: Database, clock: Clock) -> None:
    calls = [
        store.write(setting(clock, at(f"k{n}"), limits=MemoryLimits(5, 100))) for n in range(20)
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, RateLimited) for result in results] == [False] * 5 + [True] * 15
    assert await rows(store) == 5


async def test_sets_at_once_are_one_after_the_other(store: Database, clock: Clock) -> None:
    calls = [store.write(setting(clock, at(), str(n))) for n in range(20)]
    assert [written.created for written in await asyncio.gather(*calls)] == [True] + [False] * 19
    assert await value(store, at(), clock.now) == "19"
    assert await rows(store) == 1


async def test_what_is_refused_takes_no_other_write_with_it(store: Database, clock: Clock) -> None:
    await store.write(setting(clock, at()))
    results = await asyncio.gather(
        storing.append(store, new_message(content="before")),
        store.write(setting(clock, at(), "2", overwrite=False)),
        store.write(setting(clock, at(session="nowhere"), "2")),
        store.write(DeleteMemory(at(session="nowhere"), clock)),
        storing.append(store, new_message(content="after")),
        return_exceptions=True,
    )
    assert [type(result) for result in results[1:4]] == [
        MemoryExists,
        SessionNotFound,
        SessionNotFound,
    ]
    assert await everything(store) == [1, 2]
    assert await value(store, at(), clock.now) == "1"


async def test_an_operation_asks_the_time_when_it_runs(store: Database, clock: Clock) -> None:
    await store.write(setting(clock, at(), seconds=10))
    late = setting(clock, at(), "2", seconds=10, overwrite=False)
    clock.now += 10
    written = await store.write(late)
    assert (written.created, written.expires_at) == (True, clock.now + 10)


async def test_the_sweep_takes_what_expired_in_bounded_turns(store: Database, clock: Clock) -> None:
    for n in range(writes.SWEEP_ENTRIES + 10):
        await store.write(setting(clock, at(f"short{n}"), seconds=10))
    await store.write(setting(clock, at("long"), seconds=11))
    await store.write(setting(clock, at("ever")))
    assert await store.write(SweepMemory(clock)) == 0
    clock.now += 10
    assert await store.write(SweepMemory(clock)) == writes.SWEEP_ENTRIES
    assert await store.write(SweepMemory(clock)) == 10
    assert await store.write(SweepMemory(clock)) == 0
    assert await rows(store) == 2
    assert await value(store, at("long"), clock.now) == "1"


async def test_a_turn_of_the_sweep_is_bounded_in_bytes(store: Database, clock: Clock) -> None:
    half = '"' + "x" * (writes.SWEEP_BYTES // 2) + '"'
    for n in range(3):
        await store.write(setting(clock, at(f"half{n}"), half, seconds=n + 1))
    await store.write(setting(clock, at("giant"), f"[{half},{half},{half}]", seconds=4))
    clock.now += 10
    assert [await store.write(SweepMemory(clock)) for _ in range(5)] == [1, 1, 1, 1, 0]
    assert await rows(store) == 0


async def test_what_is_set_anew_while_it_is_swept_stays(store: Database, clock: Clock) -> None:
    for n in range(40):
        await store.write(setting(clock, at(f"k{n}"), '"old"', seconds=1))
    clock.now += 1
    operations = [
        operation
        for n in range(40)
        for operation in (setting(clock, at(f"k{n}"), '"new"'), SweepMemory(clock))
    ]
    await asyncio.gather(*(store.write(operation) for operation in operations))
    for n in range(40):
        assert await value(store, at(f"k{n}"), clock.now) == '"new"'
    assert await rows(store) == 40


async def test_entries_outlive_a_restart(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        await store.write(setting(clock, at(), '{"é":[1]}'))
        await store.write(setting(clock, at(session="room"), seconds=10))
    async with opened(tmp_path) as store:
        assert await value(store, at(), clock.now) == '{"é":[1]}'
        assert await value(store, at(session="room"), clock.now + 9.999) == "1"
        assert await value(store, at(session="room"), clock.now + 10) is None


@pytest.mark.parametrize(
    ("sql", "parameters"), [(writes._TOTAL, ("a", 1.0)), (writes.EXPIRED, (1.0, 1))]
)
def test_counting_and_sweeping_look_at_an_index_alone(
    sql: str, parameters: tuple[object, ...]
) -> None:
    connection = sqlite3.connect(":memory:")
    for statement in SCHEMA.versions[4]:
        connection.execute(statement)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    connection.close()
    looks = [step for step in plan if "memory" in step]
    assert looks and all("SEARCH memory USING COVERING INDEX" in step for step in looks), plan
