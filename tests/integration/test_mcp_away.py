"""mcp_node is away: who watches stays, who comes gets in, and nothing committed later is missed."""

import asyncio
import signal
from pathlib import Path

import pytest
import websockets

from tests import postgres
from tests.clients import closed_with, frame, frames, is_quiet
from tests.integration.rooms import broadcast, make_room, readiness, say, status
from tests.pair import Pair
from tests.waiting import until
from ws_node.rooms.dispatcher import CLOCK_SECONDS


async def noticed(pair: Pair) -> bool:
    """Whether ws_node knows that mcp_node is away."""
    return await readiness(pair.ws_url) == (200, {"status": "degraded", "log": "away"})


@pytest.mark.parametrize("knew_the_log", [True, False])
async def test_viewers_come_and_miss_nothing(killable: Pair, name: str, knew_the_log: bool) -> None:
    elsewhere = await make_room(killable, f"{name}-elsewhere")
    await make_room(killable, name)
    async with killable.rest() as rest, killable.viewer(elsewhere) as witness:
        await say(rest, name, "long ago")
        await say(rest, elsewhere, "and later still")  # once here, ws_node knows of the first too
        await frame(witness)
    killable.mcp.kill()
    if not knew_the_log:
        if postgres.wanted():  # else another node, whose clock is late, may have written meanwhile
            await asyncio.sleep(CLOCK_SECONDS)
        killable.ws.kill()
        await killable.ws.start()
    await until(lambda: noticed(killable))
    first, second = await asyncio.gather(killable.viewer(name), killable.viewer(name))
    async with first, second:
        answer = await broadcast(killable, name, {"type": "note", "data": {"n": 1}})
        assert (answer.status_code, answer.json()["success"]) == (200, True)
        for viewer in (first, second):
            assert (await frame(viewer))["data"] == {"n": 1}
        await killable.mcp.start()
        async with killable.rest() as rest:
            said = [await say(rest, name, f"right after {n}") for n in range(5)]
        for viewer in (first, second):
            assert [(await frame(viewer))["position"] for _ in said] == said
            await is_quiet(viewer)
        await until(killable.joined)
        assert await status(killable.ws_url) == "ready"


async def test_a_connected_viewer_stays_through_it(killable: Pair, name: str) -> None:
    await make_room(killable, name)
    async with killable.viewer(name) as viewer:
        killable.mcp.kill()
        await until(lambda: noticed(killable))
        await broadcast(killable, name, {"type": "note", "data": {}})
        assert (await frame(viewer))["type"] == "note"
        await killable.mcp.start()
        async with killable.rest() as rest:
            said = [await say(rest, name, f"again {n}") for n in range(3)]
        assert [(await frame(viewer))["position"] for _ in said] == said
        await is_quiet(viewer)


async def test_a_ws_node_that_starts_first_lets_viewers_in(tmp_path: Path) -> None:
    async with Pair(tmp_path, start=("ws",)) as pair:
        await until(lambda: noticed(pair))
        await bad_and_foreign_tokens_stay_out(pair)
        async with pair.viewer("room") as viewer:
            await pair.mcp.start()
            await make_room(pair, "room")
            async with pair.rest() as rest:
                said = [await say(rest, "room", f"first words {n}") for n in range(3)]
            assert [(await frame(viewer))["position"] for _ in said] == said == [1, 2, 3]
            await is_quiet(viewer)


async def bad_and_foreign_tokens_stay_out(pair: Pair) -> None:
    url = f"ws://127.0.0.1:{pair.ws_port}/ws/room"
    wrong = {"Authorization": "Bearer not.a.token"}
    elsewhere = pair.headers(sessions=["elsewhere"])
    for headers, code in (({}, 4500), (wrong, 4500), (elsewhere, 4501)):
        async with websockets.connect(url, additional_headers=headers, proxy=None) as viewer:
            assert await closed_with(viewer) == code


async def test_two_starts_between_two_questions_lose_nothing(tmp_path: Path) -> None:
    """ws_node sleeps while mcp_node starts, takes a message, dies and starts again."""
    async with Pair(tmp_path, start=("ws",)) as pair:
        assert pair.ws.process is not None
        async with pair.viewer("twice") as viewer:
            pair.ws.process.send_signal(signal.SIGSTOP)
            try:
                for content in ("first start", "second start"):
                    await pair.mcp.start()
                    async with pair.rest() as rest:
                        await rest.post(
                            "/api/sessions", json={"purpose": "p", "session_id": "twice"}
                        )
                        await rest.post("/api/sessions/twice/messages", json={"content": content})
                    if content == "first start":
                        pair.mcp.kill()
            finally:
                pair.ws.process.send_signal(signal.SIGCONT)
            got = [event["data"]["content"] for event in await frames(viewer, 2)]
            assert got == ["first start", "second start"]
