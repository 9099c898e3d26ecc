"""Limits of one principal and of all, and nothing left behind by those who leave."""

import asyncio

from serving.quota import ConcurrencyLimit, Quota
from tests.waiting import until


async def test_the_rest_wait_in_line_and_leaving_it_frees_the_place() -> None:
    limit = ConcurrencyLimit(2)
    holding: list[int] = []
    free = [asyncio.Event() for _ in range(5)]

    async def take(number: int) -> None:
        async with limit.of("alice"):
            holding.append(number)
            await free[number].wait()

    tasks = [asyncio.create_task(take(number)) for number in range(5)]
    await until(lambda: len(holding) == 2)
    async with limit.of("bob"):
        assert holding == [0, 1], "others are not held up"
    tasks[2].cancel()
    await asyncio.wait({tasks[2]})
    tasks[0].cancel()
    await until(lambda: holding == [0, 1, 3])
    free[1].set()
    await until(lambda: holding == [0, 1, 3, 4])
    for event in free:
        event.set()
    await asyncio.wait(tasks)
    async with limit.of("alice"), limit.of("alice"):
        assert limit.of("alice").locked(), "both places were free again, and no third"


def test_one_principal_and_all_are_limited_and_what_is_released_is_free_again() -> None:
    quota = Quota(2, 3)
    assert [quota.acquire("alice") for _ in range(3)] == [True, True, False]
    assert [quota.acquire(name) for name in ("bob", "bob", None)] == [True, False, False]
    assert (quota.total, quota.refused) == (3, 3)
    quota.release("alice")
    assert quota.acquire(None), "nobody in particular counts among all"
    assert not quota.exceeds_own("alice") and quota.exceeds_all()
    assert not quota.exceeds_own(None, 100)
    for name in ("alice", "bob", None):
        quota.release(name)
    assert quota.total == 0
    assert Quota(1).acquire("alice")


def test_one_use_may_count_several_times() -> None:
    quota = Quota(3, 5)
    quota.add("alice", 3)
    assert quota.exceeds_own("alice") and not quota.exceeds_own("bob", 3)
    assert quota.exceeds_all(3) and not quota.exceeds_all(2)
    quota.add("alice", -3)
    assert not quota.exceeds_own("alice", 3)
