"""Turns: so many at once for one principal, in line, and nothing left behind by those who leave."""

import asyncio

from tests.pair import until
from ws_node.endpoints.places import Turns


async def test_the_rest_wait_in_line_and_leaving_it_frees_the_place() -> None:
    turns = Turns(2)
    holding: list[int] = []
    free = [asyncio.Event() for _ in range(5)]

    async def take(number: int) -> None:
        async with turns.of("alice"):
            holding.append(number)
            await free[number].wait()

    tasks = [asyncio.create_task(take(number)) for number in range(5)]
    await until(lambda: len(holding) == 2)
    async with turns.of("bob"):
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
    async with turns.of("alice"), turns.of("alice"):
        assert turns.of("alice").locked(), "both places were free again, and no third"
