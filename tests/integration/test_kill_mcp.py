"""kill -9 of mcp_node under load: what was acknowledged is there, and viewers miss nothing."""

import asyncio
import contextlib

import httpx

from tests.integration.rooms import gathered, make_room, say, say_last, transcript, whole_log
from tests.pair import Pair
from tests.waiting import START_SECONDS, until

AGENTS = 9
BETWEEN = 150
"""Acknowledged messages from one kill to the next."""


class Load:
    """Agents that write without pause, whatever happens to the node."""

    def __init__(self, pair: Pair, rooms: list[str]) -> None:
        self.pair = pair
        self.rooms = rooms
        self.acknowledged: dict[int, tuple[str, str, str]] = {}
        self.tried: set[str] = set()
        self.failures = 0
        self._enough = asyncio.Event()
        self._tasks = [asyncio.create_task(self._write(f"agent-{n}")) for n in range(AGENTS)]

    async def more(self, count: int) -> None:
        """Wait for that many more acknowledged messages."""
        goal = len(self.acknowledged) + count
        await until(lambda: len(self.acknowledged) >= goal, within=START_SECONDS)

    async def end(self) -> None:
        """Finish what is under way."""
        self._enough.set()
        await gathered(*self._tasks)

    async def _write(self, agent: str) -> None:
        async with self.pair.rest(agent) as rest:
            turn = 0
            while not self._enough.is_set():
                turn += 1
                room, content = self.rooms[turn % len(self.rooms)], f"{agent} {turn}"
                self.tried.add(content)
                try:
                    id_ = await say(rest, room, content)
                except httpx.TransportError:
                    self.failures += 1
                    await asyncio.sleep(0.02)
                else:
                    assert id_ not in self.acknowledged
                    self.acknowledged[id_] = (room, agent, content)


async def test_acknowledged_messages_survive_and_viewers_get_each_once(
    killable: Pair, name: str
) -> None:
    rooms = [f"{name}-{colour}" for colour in ("red", "green", "blue")]
    async with contextlib.AsyncExitStack() as stack:
        for room in rooms:
            await make_room(killable, room)
        viewers = {
            room: [await stack.enter_async_context(killable.viewer(room)) for _ in range(3)]
            for room in rooms
        }
        reading = {
            room: [asyncio.create_task(transcript(viewer)) for viewer in viewers[room]]
            for room in rooms
        }
        load = Load(killable, rooms)
        for _ in range(2):
            await load.more(BETWEEN)
            killable.mcp.kill()
            await killable.mcp.start()
        await load.more(BETWEEN)
        await load.end()
        for room in rooms:
            await say_last(killable, room)

        assert load.failures > 0
        logs = {room: await whole_log(killable, room) for room in rooms}
        ids = sorted(one["id"] for log in logs.values() for one in log)
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        stored = {
            one["id"]: (room, one["sender"], one["content"])
            for room, log in logs.items()
            for one in log
        }
        assert load.acknowledged.items() <= stored.items()
        contents = [content for _, agent, content in stored.values() if agent != "alice"]
        assert len(contents) == len(set(contents)) and set(contents) <= load.tried

        for room in rooms:
            log = logs[room]
            assert [one["prev"] for one in log] == [0, *(one["id"] for one in log[:-1])]
            expected = [(one["id"], one["content"]) for one in log[:-1]]
            for got in await gathered(*reading[room]):
                assert [(one["id"], one["content"]) for one in got] == expected
