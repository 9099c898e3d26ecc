"""ws_node dies and comes back while agents write: they notice nothing, and viewers miss nothing."""

import asyncio
import json
from pathlib import Path

import websockets

from tests.clients import frame
from tests.integration.rooms import LAST, gathered, make_room, readiness, say, say_last, whole_log
from tests.pair import Pair
from tests.waiting import START_SECONDS, until


class Follower:
    """A client as the documentation wants it: it comes back with the last position it saw."""

    def __init__(self, pair: Pair, room: str) -> None:
        self.seen: list[int] = []
        self.visits = 0
        self._pair = pair
        self._room = room

    async def follow(self) -> None:
        """Read until the last message."""
        while True:
            since = self.seen[-1] if self.seen else 0
            try:
                async with self._pair.viewer(self._room, query=f"?since={since}") as viewer:
                    subscribed = await frame(viewer)
                    assert (subscribed["position"], subscribed["recovered"]) == (since, True)
                    self.visits += 1
                    async for text in viewer:
                        if self._took(text):
                            return
            except (OSError, websockets.InvalidHandshake, websockets.ConnectionClosed):
                await asyncio.sleep(0.05)

    def _took(self, text: str | bytes) -> bool:
        one = json.loads(text)
        self.seen.append(one["position"])
        return one["data"]["content"] == LAST


async def test_agents_notice_nothing_and_returning_viewers_miss_nothing(
    killable: Pair, name: str
) -> None:
    room = await make_room(killable, name)
    followers = [Follower(killable, room) for _ in range(5)]
    following = [asyncio.create_task(follower.follow()) for follower in followers]
    said: list[int] = []
    enough = asyncio.Event()

    async def write(agent: str) -> None:
        async with killable.agent(agent) as client:
            while not enough.is_set():
                arguments = {"session_id": room, "content": f"{agent} {len(said)}"}
                added = await client.call_tool("add_message", arguments)
                said.append(added.structured_content["message_id"])

    writing = [asyncio.create_task(write(f"agent-{n}")) for n in range(4)]

    async def written(more: int) -> None:
        goal = len(said) + more
        await until(lambda: len(said) >= goal, within=START_SECONDS)

    for visit in (1, 2):
        await until(lambda visit=visit: all(one.visits == visit for one in followers))
        await written(60)
        killable.ws.kill()
        await written(60)
        await killable.ws.start()
    await until(lambda: all(one.visits == 3 for one in followers))
    await written(60)
    enough.set()
    await asyncio.gather(*writing)
    said.append(await say_last(killable, room))
    await gathered(*following)

    assert sorted(said) == list(range(min(said), min(said) + len(said)))
    assert [one["id"] for one in await whole_log(killable, room)] == sorted(said)
    for follower in followers:
        assert follower.seen == sorted(said)


async def test_without_ws_node_mcp_node_is_ready_and_says_that_the_bridge_is_away(
    tmp_path: Path,
) -> None:
    async with Pair(tmp_path, start=("mcp",)) as pair:
        assert await readiness(pair.mcp_url) == (200, {"status": "ready", "bridge": "away"})
        room = await make_room(pair, "room")
        async with pair.rest() as rest:
            early = await say(rest, room, "nobody listens yet")
            await pair.ws.start()
            await until(pair.joined)
            async with pair.viewer(room) as viewer, pair.viewer(room, query="?since=0") as late:
                assert (await frame(late))["recovered"] is True
                assert (await frame(late))["position"] == early
                said = await say(rest, room, "now somebody does")
                assert (await frame(viewer))["position"] == said
                assert (await frame(late))["position"] == said
