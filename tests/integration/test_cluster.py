"""Two pairs on one PostgreSQL and one nats-server: what is done at one shows at the other."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import websockets

from tests import postgres
from tests.chaos.run import Plan, run
from tests.clients import closed_with, frame, plain_client
from tests.cluster import Cluster, needed
from tests.commands import partyline
from tests.integration.rooms import make_room, say, say_last, transcript, whole_log
from tests.integration.test_mcp_away import noticed
from tests.integration.test_presence import ASKING, told
from tests.integration.test_presence import waiting as waiting_agents
from tests.nats_server import NatsServer
from tests.pair import Pair
from tests.waiting import until
from ws_node.rooms.dispatcher import CLOCK_SECONDS

pytestmark = needed


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pairs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Pair]]:
    """Both pairs, which tests leave running. Nothing but the bus is quicker than a minute."""
    directory: Path = tmp_path_factory.mktemp("cluster")
    where = postgres.store_settings(directory)
    async with (
        NatsServer(directory) as nats,
        Cluster(directory, nats=nats, LOG_POLL_SECONDS=60, **where) as cluster,
    ):
        yield cluster.pairs


async def test_two_hundred_callers_of_two_nodes_write_one_log(pairs: list[Pair]) -> None:
    room = await make_room(pairs[0], "both")
    viewers = [await pair.viewer(room).__aenter__() for pair in pairs]
    for viewer in viewers:
        await viewer.send('{"type":"subscribe"}')
        assert (await frame(viewer))["type"] == "subscribed"
    callers = [pair.rest(f"caller-{n}") for n in range(100) for pair in pairs]

    async def call(number: int) -> list[int]:
        async with callers[number] as rest:
            return [await say(rest, room, f"{number}/{n}") for n in range(3)]

    said = await asyncio.gather(*map(call, range(200)))
    await say_last(pairs[1], room)
    log = await whole_log(pairs[0], room)
    ids = [message["id"] for message in log]
    assert sorted(id_ for some in said for id_ in some) == ids[:-1]
    assert ids == list(range(ids[0], ids[0] + 601))  # without holes
    assert [message["prev"] for message in log] == [0, *ids[:-1]]
    for viewer in viewers:
        assert [message["id"] for message in await transcript(viewer)] == ids[:-1]
        await viewer.close()


async def test_a_wait_at_one_node_ends_with_a_message_at_the_other(pairs: list[Pair]) -> None:
    room = await make_room(pairs[0], "waited")
    async with pairs[0].agent("bob") as bob, pairs[1].rest("alice") as alice:
        arguments = {"session_id": room, "timeout_seconds": 60}
        waiting = asyncio.create_task(bob.call_tool("wait_for_messages", arguments))

        async def shown() -> bool:
            agents = (await alice.get(f"/api/sessions/{room}/agents")).json()["agents"]
            return [each["name"] for each in agents if each["waiting"]] == ["bob"]

        await until(shown)
        await say(alice, room, "over here")
        answer = (await waiting).structured_content
        assert answer is not None
        assert [message["content"] for message in answer["messages"]] == ["over here"]
        async with pairs[1].agent("bob") as elsewhere:
            more = await elsewhere.call_tool(
                "get_messages", {"session_id": room, "unread_only": True}
            )
            assert more.structured_content == {"messages": [], "has_more": False, "unread": 0}


async def test_a_session_closed_at_one_node_ends_a_wait_at_the_other(pairs: list[Pair]) -> None:
    room = await make_room(pairs[0], "closing")
    async with pairs[0].agent("bob") as bob, pairs[1].rest("alice") as alice:
        waiting = asyncio.create_task(
            bob.call_tool("wait_for_messages", {"session_id": room, "timeout_seconds": 60})
        )

        async def waits() -> bool:
            agents = (await alice.get(f"/api/sessions/{room}/agents")).json()["agents"]
            return any(each["waiting"] for each in agents)

        await until(waits)
        assert (await alice.post(f"/api/sessions/{room}/close", json={})).status_code == 200
        answer = (await waiting).structured_content
        assert answer is not None and answer["outcome"] == "closed"


async def test_a_token_revoked_at_one_node_is_refused_at_all(pairs: list[Pair]) -> None:
    room = await make_room(pairs[0], "revoking")
    headers = pairs[0].headers("mallory")
    async with pairs[1].viewer(room, "mallory") as viewer:
        await viewer.send('{"type":"subscribe"}')
        assert (await frame(viewer))["type"] == "subscribed"
        assert (await partyline(pairs[0], "revoke", "--agent", "mallory"))[0] == 0
        with pytest.raises(websockets.ConnectionClosed):
            async with asyncio.timeout(15):  # 3 s are promised, on a machine that is not busy
                while True:
                    await viewer.recv()

    async def refused(pair: Pair) -> bool:
        async with plain_client(headers=headers) as client:
            return (await client.get(f"{pair.mcp_url}/api/sessions")).status_code == 401

    for pair in pairs:
        await until(lambda pair=pair: refused(pair))


async def test_links_are_redeemed_at_the_node_that_signs(pairs: list[Pair]) -> None:
    room = await make_room(pairs[0], "linked")
    async with pairs[1].agent("alice") as alice:
        link = await alice.call_tool("get_live_link", {"session_id": room})
    assert link.structured_content is not None
    code = link.structured_content["url"].rpartition("#code=")[2]
    answers = []
    async with plain_client() as client:
        for pair in reversed(pairs):
            answers.append(await client.post(f"{pair.mcp_url}/api/redeem", json={"code": code}))
    assert [answer.status_code for answer in answers] == [503, 200]
    assert "signing.key" in answers[0].text
    assert not (pairs[1].data_dir / "signing.key").exists()


async def test_agents_at_work_at_one_node_show_to_viewers_of_the_other(pairs: list[Pair]) -> None:
    room = await make_room(pairs[0], "presence")
    async with (
        pairs[0].agent("bob") as bob,
        pairs[1].rest("alice") as alice,
        pairs[1].viewer(room, query=ASKING) as viewer,
    ):
        waiting = asyncio.create_task(
            bob.call_tool("wait_for_messages", {"session_id": room, "timeout_seconds": 60})
        )
        await told(viewer, lambda data: "bob" in waiting_agents(data))
        await say(alice, room, "enough")
        await waiting
        await told(viewer, lambda data: data["agents"] is not None and not waiting_agents(data))


@pytest.mark.parametrize("written", [True, False])
async def test_who_came_while_its_mcp_node_was_down_misses_nothing_or_is_told(
    pairs: list[Pair], written: bool
) -> None:
    """ws_node has just started and knows of no position; perhaps another pair writes meanwhile."""
    room = await make_room(pairs[0], f"down-{written}")
    await asyncio.sleep(CLOCK_SECONDS)  # whatever was written before is that old
    pairs[1].mcp.kill()
    pairs[1].ws.kill()
    pairs[1].ws.spawn()
    await until(lambda: noticed(pairs[1]))
    async with pairs[1].viewer(room) as viewer, pairs[0].rest("alice") as alice:
        if written:
            await say(alice, room, "meanwhile")
        await pairs[1].mcp.start()
        if written:
            assert await closed_with(viewer) == 4003
        else:
            await until(pairs[1].joined)
            said = await say(alice, room, "afterwards")
            assert (await frame(viewer))["position"] == said
    await until(pairs[1].joined)


@pytest.mark.timeout(300)
async def test_a_cluster_that_is_broken_loses_repeats_and_shows_nothing_wrong() -> None:
    plan = Plan(
        seconds=10, seed=1, agents=6, viewers=12, sessions=3, pause=0.05, kill_every=1.5,
        cluster=True,
    )  # fmt: skip
    report = await run(plan)
    print(report.table())
    assert report.clean, f"\n{report.table()}\nseed {plan.seed}"
