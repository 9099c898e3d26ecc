"""The nodes differ in AUTH, or the log was put back: nobody watches whom mcp_node would refuse."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.clients import frame, plain_client
from tests.commands import partyline
from tests.integration.rooms import make_room, readiness, say
from tests.integration.test_revocation import WITHIN, closed, revoke
from tests.pair import Pair
from tests.waiting import until

ROOM = "room"
ALICE = {"X-Partyline-Agent": "alice", "X-Partyline-Agent-Type": "claude"}


def watching(pair: Pair, query: str = "") -> websockets.connect:
    """A viewer that says, unverified, that it is alice."""
    return websockets.connect(
        f"ws://127.0.0.1:{pair.ws_port}/ws/{ROOM}{query}", additional_headers=ALICE, proxy=None
    )


async def refused(pair: Pair) -> None:
    """A viewer, a stream and a request of the page are all answered 503."""
    with pytest.raises(websockets.InvalidStatus) as answer:
        async with watching(pair, "?since=0"):
            pass
    assert answer.value.response.status_code == 503
    async with plain_client(base_url=pair.ws_url, headers=ALICE) as client:
        assert (await client.get(f"/events/{ROOM}?since=0")).status_code == 503
        assert (await client.get(f"/api/sessions/{ROOM}/messages")).status_code == 503


async def last_event(answer: httpx.Response) -> str:
    """What a stream ends with."""
    async with asyncio.timeout(WITHIN):
        return (await answer.aread()).decode().strip().splitlines()[-1]


async def test_a_mismatch_ends_every_viewer(tmp_path: Path) -> None:
    async with Pair(tmp_path, auth="off", LOG_POLL_SECONDS=60) as pair:
        await make_room(pair, ROOM)
        async with (
            watching(pair) as viewer,
            plain_client(base_url=pair.ws_url, headers=ALICE) as client,
            client.stream("GET", f"/events/{ROOM}") as stream,
        ):
            await pair.mcp.stop()
            pair.mcp.environment["PARTYLINE_AUTH"] = "token"
            await pair.mcp.start()
            assert await closed(viewer) == 4004
            assert "4004" in await last_event(stream)
        assert (await readiness(pair.ws_url))[0] == 503
        await refused(pair)

        await pair.mcp.stop()
        pair.mcp.environment["PARTYLINE_AUTH"] = "off"
        await pair.mcp.start()
        await until(pair.joined)
        async with watching(pair, "?since=0") as viewer:
            assert (await frame(viewer))["type"] == "subscribed"


async def test_with_auth_off_nobody_is_let_in_before_mcp_node_was_asked(tmp_path: Path) -> None:
    async with Pair(tmp_path, auth="off", start=()) as pair:
        pair.ws.spawn()

        async def waits() -> bool:
            return bool(pair.ws_port) and (await readiness(pair.ws_url))[0] == 503

        try:
            await until(waits)
            await refused(pair)
            await pair.mcp.start()
            await until(pair.joined)
            await make_room(pair, ROOM)
            async with watching(pair) as viewer, pair.rest() as rest:
                said = await say(rest, ROOM, "hello")
                assert (await frame(viewer))["position"] == said
        finally:
            pair.ws.end()
            pair.mcp.end()


@pytest.mark.sqlite
async def test_revocations_reach_a_running_ws_node_whatever_happened_before(
    tmp_path: Path,
) -> None:
    """With a slow comparison of heads; and after a restore, when their numbers begin anew."""
    older = str(tmp_path / "older.db")
    async with Pair(tmp_path / "pair", LOG_POLL_SECONDS=60) as pair:
        await make_room(pair, ROOM)
        assert (await partyline(pair, "backup", older))[0] == 0
        async with pair.viewer(ROOM, "mallory") as viewer:
            await revoke(pair, "--agent", "mallory")
            await revoke(pair, "--agent", "trudy")
            assert await closed(viewer) == 4501
        await pair.mcp.stop()
        assert (await partyline(pair, "restore", older))[0] == 0
        await pair.mcp.start()
        await until(lambda: stays(pair, "eve"))
        async with pair.viewer(ROOM, "eve") as viewer:
            await revoke(pair, "--agent", "eve")
            assert await closed(viewer) == 4501


async def stays(pair: Pair, agent: str) -> bool:
    """Whether ws_node follows the log that was put back, so that a viewer may stay."""
    try:
        async with pair.viewer(ROOM, agent, query="?since=0") as viewer:
            answer: dict[str, Any] = await frame(viewer)
            await viewer.send("ping")
            return answer["type"] == "subscribed" and await viewer.recv() == "pong"
    except websockets.WebSocketException:
        return False
