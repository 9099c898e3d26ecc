"""``partyline prune`` as an operator runs it, with nodes and viewers at work."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.clients import frame, frames, is_quiet, plain_client
from tests.commands import partyline
from tests.integration.rooms import make_room, say, whole_log
from tests.pair import Pair
from tests.waiting import until

SECRET = "what was said long ago"


async def second_old() -> None:
    """Wait until everything said so far is older than a second."""
    moment = time.time()
    await until(lambda: time.time() > moment + 1.05)


async def test_old_messages_go_and_viewers_go_on(killable: Pair, name: str) -> None:
    await make_room(killable, name)
    async with killable.viewer(name) as stays, killable.rest() as rest:
        old = [await say(rest, name, f"{SECRET} {n}", metadata={"k": SECRET}) for n in range(6)]
        await frames(stays, len(old))
        await second_old()
        code, out, _ = await partyline(killable, "prune", "--older-than", "1s", "--dry-run")
        assert code == 0 and out.startswith("Would delete ")
        assert (await whole_log(killable, name))[0]["content"] == f"{SECRET} 0"
        code, out, err = await partyline(killable, "prune", "--older-than", "1s")
        assert (code, err) == (0, "")
        assert out.startswith("Deleted ") and out.endswith(" messages older than 1s.\n")
        assert [one["id"] for one in await whole_log(killable, name)] == old[-1:]
        listed = (await rest.get(f"/api/sessions/{name}/messages")).json()["messages"]
        assert [(one["id"], one["content"], one["deleted"]) for one in listed] == [
            (old[-1], "", True)
        ]
        new = await say(rest, name, "new", parent_message_id=old[-1])
        assert new > old[-1]
        assert (await frame(stays))["position"] == new  # and no gap, nothing twice
        await is_quiet(stays)

        async def forgotten() -> bool:
            """ws_node hears of it when it next compares heads: its own copies go as well."""
            async with killable.viewer(name, query="?since=0") as late:
                await frame(late)
                first = await frame(late)
                return SECRET not in str(first)

        await until(forgotten)
        for since in (0, old[2], old[-2]):
            async with killable.viewer(name, query=f"?since={since}") as late:
                assert (await frame(late))["recovered"] is True
                assert [one["position"] for one in await frames(late, 2)] == [old[-1], new]
                await is_quiet(late)
        async with killable.viewer(name, query=f"?since={new}") as late:
            assert (await frame(late))["recovered"] is True
            await is_quiet(late)


async def test_everything_is_pruned_and_ids_go_on_after_a_restart(
    killable: Pair, name: str
) -> None:
    await make_room(killable, name)
    async with killable.viewer(name) as stays:
        async with killable.rest() as rest:
            old = [await say(rest, name, SECRET) for _ in range(3)]
            await frames(stays, 3)
            await second_old()
            assert (await partyline(killable, "prune", "--older-than", "1s"))[0] == 0
            assert (await partyline(killable, "prune", "--older-than", "1s"))[1] == (
                "Deleted 0 messages older than 1s.\n"
            )
        killable.mcp.kill()
        await killable.mcp.start()
        async with killable.rest() as rest:
            new = await say(rest, name, "new")
        assert new > old[-1]
        assert (await frame(stays))["position"] == new
        await is_quiet(stays)
    assert [(one["id"], one["prev"]) for one in await whole_log(killable, name)] == [
        (old[-1], old[-2]),
        (new, old[-1]),
    ]


async def test_messages_written_while_it_prunes_are_kept(killable: Pair, name: str) -> None:
    await make_room(killable, name)
    async with killable.rest("alice") as rest:
        for number in range(0, 300, 20):
            await asyncio.gather(*(say(rest, name, str(number + n)) for n in range(20)))
        await second_old()
        pruning = asyncio.create_task(partyline(killable, "prune", "--older-than", "1s"))
        said = []
        while not pruning.done():
            said.append(await say(rest, name, "meanwhile"))
        assert (await pruning)[0] == 0
    left = [one["id"] for one in await whole_log(killable, name)]
    kept = said[-len(left) :]  # pruning may take longer than a second, and words grow old
    assert left[-len(kept) :] == kept
    assert 0 < len(kept) <= len(left) <= len(kept) + 1


async def test_prune_without_mcp_node_says_so(tmp_path: Path) -> None:
    pair = Pair(tmp_path, start=())
    code, out, err = await partyline(pair, "prune", "--older-than", "30d")
    assert (code, out) == (2, "")
    assert err.startswith("partyline: no mcp_node is running with the data directory ")
    assert "start it first" in err


@pytest.mark.parametrize("wish", ["30", "d", "0d", "-1d", "9999d", "30d ", "1y", ""])
async def test_a_time_that_is_none_deletes_nothing(pair: Pair, wish: str) -> None:
    code, out, err = await partyline(pair, "prune", f"--older-than={wish}")
    assert (code, out) == (2, "")
    assert "--older-than" in err


async def test_only_our_own_processes_prune(pair: Pair, room: str) -> None:
    body = {"before": "2026-01-01T00:00:00Z", "after": 0, "dry_run": False}
    admin = pair.headers("root", scopes="read,write,admin")
    async with plain_client(base_url=pair.mcp_url) as client:
        for headers, expected in (({}, 401), (admin, 404)):
            answer = await client.post("/api/prune", json=body, headers=headers)
            nowhere = await client.post("/api/nowhere", json=body, headers=headers)
            assert answer.status_code == nowhere.status_code == expected
            assert answer.content == nowhere.content


@pytest.mark.parametrize(
    "change",
    [
        {"before": "2999-01-01T00:00:00Z"},
        {"before": "yesterday"},
        {"before": None},
        {"after": -1},
        {"after": 2**53 + 1},
        {"dry_run": "no"},
        {"more": 1},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_wish_out_of_bounds_is_refused(pair: Pair, change: dict[str, object]) -> None:
    body = {"before": "2026-01-01T00:00:00Z", "after": 0, "dry_run": True} | change
    async with pair.service() as client:
        assert (await client.post("/api/prune", json=body)).status_code == 422
