"""Three sessions, twenty agents at once, ten viewers each: everybody gets exactly their own."""

import asyncio
import contextlib

import websockets
from fastmcp import Client

from tests.integration.rooms import gathered, make_room, say_last, transcript, whole_log
from tests.pair import Pair

AGENTS = {f"agent-{n}": f"type-{n % 4}" for n in range(20)}
EACH = 4
"""Messages of each agent in each session."""


async def test_every_viewer_gets_exactly_its_sessions_messages(pair: Pair, name: str) -> None:
    rooms = [await make_room(pair, f"{name}-{which}") for which in "abc"]
    async with contextlib.AsyncExitStack() as stack:
        viewers: dict[str, list[websockets.ClientConnection]] = {
            room: await gathered(
                *(stack.enter_async_context(pair.viewer(room, f"watcher-{n}")) for n in range(10))
            )
            for room in rooms
        }
        reading = {
            room: [asyncio.create_task(transcript(viewer)) for viewer in viewers[room]]
            for room in rooms
        }
        agents: dict[str, Client] = {
            agent: await stack.enter_async_context(pair.agent(agent, kind=kind))
            for agent, kind in AGENTS.items()
        }

        async def speak(agent: str) -> set[tuple[int, str, str]]:
            said = set()
            for turn in range(EACH):
                for room in rooms:
                    content = f"{agent} in {room}, {turn}"
                    arguments = {"session_id": room, "content": content}
                    added = await agents[agent].call_tool("add_message", arguments)
                    said.add((added.structured_content["message_id"], room, content))
            return said

        said = set().union(*await gathered(*(speak(agent) for agent in AGENTS)))
        assert len({id_ for id_, _, _ in said}) == len(AGENTS) * EACH * len(rooms)
        for room in rooms:
            await say_last(pair, room)

        for room in rooms:
            expected = sorted((id_, content) for id_, where, content in said if where == room)
            for got in await gathered(*reading[room]):
                assert [(one["id"], one["content"]) for one in got] == expected
                for one in got:
                    author = one["content"].split(" in ")[0]
                    assert (one["sender"], one["sender_type"]) == (author, AGENTS[author])
            log = await whole_log(pair, room)
            assert [(one["id"], one["content"]) for one in log[:-1]] == expected
            assert [one["prev"] for one in log] == [0, *(one["id"] for one in log[:-1])]
