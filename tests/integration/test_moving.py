"""A deployment moves to PostgreSQL and back while ws_node runs: viewers go on where they were."""

import pytest

from tests import postgres
from tests.clients import frame
from tests.commands import partyline
from tests.integration.rooms import make_room, say
from tests.pair import Pair
from tests.waiting import until

ROOM = "room"
MIGRATE = ("migrate", "--from")


@pytest.mark.sqlite
async def test_viewers_and_agents_keep_their_positions(tmp_path):
    async with Pair(tmp_path, LOG_POLL_SECONDS=0.2) as pair:
        store = postgres.store_variables(pair.data_dir)
        pair.environment |= store  # of commands; the nodes have their own
        await make_room(pair, ROOM)
        async with pair.rest() as rest:
            first = await say(rest, ROOM, "in SQLite")
        async with pair.viewer(ROOM, query=f"?since={first}") as viewer, pair.rest() as rest:
            subscribed = await frame(viewer)
            code, _, errors = await partyline(
                pair, "migrate", "--from", "sqlite", "--to", "postgresql"
            )
            assert code == 2 and "another mcp_node" in errors
            await _moved(pair, "sqlite", "postgresql")
            pair.mcp.environment |= store
            await pair.mcp.start()
            await until(pair.joined)
            second = await say(rest, ROOM, "in PostgreSQL")
            assert (second, (await frame(viewer))["data"]["content"]) == (
                first + 1,
                "in PostgreSQL",
            )
            await pair.mcp.stop()
            (pair.data_dir / "partyline.db").rename(tmp_path / "old.db")
            await _moved(pair, "postgresql", "sqlite")
            for name in store:
                del pair.mcp.environment[name]
            await pair.mcp.start()
            await until(pair.joined)
            await say(rest, ROOM, "in SQLite again")
            assert (await frame(viewer))["data"]["content"] == "in SQLite again"
        query = f"?since={first}&epoch={subscribed['epoch']}"
        async with pair.viewer(ROOM, query=query) as viewer:
            assert (await frame(viewer))["recovered"] is True
            texts = [(await frame(viewer))["data"]["content"] for _ in range(2)]
            assert texts == ["in PostgreSQL", "in SQLite again"]


async def _moved(pair: Pair, source: str, target: str) -> None:
    if pair.mcp.process is not None and pair.mcp.process.poll() is None:
        await pair.mcp.stop()
    code, out, errors = await partyline(pair, *MIGRATE, source, "--to", target)
    assert (code, errors) == (0, ""), out
    assert "no difference" in out
