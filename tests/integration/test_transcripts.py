"""Ten viewers on one room while twenty agents add two thousand messages over REST."""

import asyncio
import contextlib

from tests.integration.rooms import gathered, make_room, say, say_last, transcript, whole_log
from tests.pair import Pair

AGENTS, EACH, VIEWERS = 20, 100, 10


async def test_every_transcript_is_exact(pair: Pair, name: str) -> None:
    await make_room(pair, name)
    async with contextlib.AsyncExitStack() as stack:
        viewers = [
            await stack.enter_async_context(pair.viewer(name, f"watcher-{n}"))
            for n in range(VIEWERS)
        ]
        reading = [asyncio.create_task(transcript(viewer)) for viewer in viewers]

        async def speak(agent: str) -> list[tuple[int, str, str]]:
            async with pair.rest(agent) as rest:
                return [
                    (await say(rest, name, f"{agent} {turn}"), agent, f"{agent} {turn}")
                    for turn in range(EACH)
                ]

        said = await gathered(*(speak(f"agent-{n}") for n in range(AGENTS)))
        await say_last(pair, name)
        for own in said:
            assert own == sorted(own), "an agent's own messages are in its order"
        expected = sorted(one for own in said for one in own)
        assert len(expected) == AGENTS * EACH
        assert [one[0] for one in expected] == list(range(expected[0][0], expected[-1][0] + 1))
        for got in await gathered(*reading):
            assert [(one["id"], one["sender"], one["content"]) for one in got] == expected
        log = await whole_log(pair, name)
        assert [(one["id"], one["sender"], one["content"]) for one in log[:-1]] == expected
