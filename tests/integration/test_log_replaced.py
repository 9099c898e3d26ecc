"""An older log is put in place of the one viewers know: no position in that one counts any more."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from mcp_node.log.mark import Mark, read_mark
from tests.clients import closed_with, frame
from tests.commands import partyline
from tests.integration.rooms import make_room, say
from tests.pair import Pair
from tests.waiting import until

ROOM = "room"


async def write(pair: Pair, count: int) -> int:
    """Add messages; the last one's id."""
    async with pair.rest() as rest:
        return [await say(rest, ROOM, f"message {n}") for n in range(count)][-1]


async def subscribed(pair: Pair, query: str) -> dict[str, Any]:
    """The answer to a viewer that comes back."""
    async with pair.viewer(ROOM, query=query) as viewer:
        answer = await frame(viewer)
        assert answer["type"] == "subscribed"
        return answer


async def recovered(pair: Pair, query: str) -> bool:
    """Whether such a viewer is told that it goes on where it was."""
    return bool((await subscribed(pair, query))["recovered"])


async def put_back(pair: Pair, older: Path, how: str) -> None:
    """Put an older log in place; mcp_node does not run. Its mark stays."""
    database = pair.data_dir / "partyline.db"
    assert not database.with_name("partyline.db-wal").exists()
    if how == "copied":
        shutil.copy(older, database)
        return
    assert (await partyline(pair, "restore", str(older)))[0] == 0


@pytest.mark.sqlite
@pytest.mark.parametrize("ws_node", ["stays", "restarts"])
@pytest.mark.parametrize("how", ["copied", "restored"])
async def test_no_position_of_the_former_log_is_recovered(
    tmp_path: Path, how: str, ws_node: str
) -> None:
    older = tmp_path / "older.db"
    async with Pair(tmp_path / "pair", LOG_POLL_SECONDS=0.2) as pair:
        await make_room(pair, ROOM)
        kept = await write(pair, 3)
        await pair.mcp.stop()
        shutil.copy(pair.data_dir / "partyline.db", older)
        await pair.mcp.start()
        since = await write(pair, 3)
        async with pair.viewer(ROOM, query=f"?since={since}") as viewer:
            former = (await frame(viewer))["epoch"]
            assert await recovered(pair, f"?since={since}&epoch={former}")
            await pair.mcp.stop()
            assert read_mark(pair.data_dir / "log.mark") == Mark(former, since)
            if ws_node == "restarts":
                await pair.ws.stop()
            await put_back(pair, older, how)
            await pair.mcp.start()
            if ws_node == "restarts":
                await pair.ws.start()
            assert await closed_with(viewer) == (4002 if ws_node == "stays" else 4001)
        await until(pair.joined)

        came = await subscribed(pair, f"?since={since}&epoch={former}")
        assert (came["recovered"], came["position"]) == (False, kept)
        assert came["epoch"] != former
        assert not await recovered(pair, f"?since={since}"), "it lies beyond the end"
        assert not await recovered(pair, f"?since={kept}&epoch={former}")

        head = await write(pair, 6)
        assert head > since
        came = await subscribed(pair, f"?since={since}&epoch={former}")
        assert (came["recovered"], came["position"]) == (False, head)
        # All that a bare number can mean: so clients keep the epoch with it.
        assert await recovered(pair, f"?since={since}")
        assert await recovered(pair, f"?since={since}&epoch={came['epoch']}")
