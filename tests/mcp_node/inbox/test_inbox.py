"""Inbox: read positions, unread counts, and waiting, on the real store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mcp_node.inbox.unread import COUNTED
from mcp_node.services import Services, make_services
from proto.errors import (
    Forbidden,
    InvalidInput,
    RateLimited,
    SessionNotFound,
    Unauthenticated,
)
from proto.messages import Principal
from proto.revocations import Revocation, Revocations
from proto.settings import load_settings
from serving.http.identity import NOBODY
from tests.mcp_node import storing
from tests.mcp_node.making import opened
from tests.waiting import until

BOTH = frozenset({"read", "write"})
ALICE = Principal("alice", "claude", BOTH, token_id="a", issued_at=1)
BOB = Principal("bob", "claude", BOTH, token_id="b", issued_at=1)
EVE = Principal("eve", "codex", BOTH, token_id="e", issued_at=1)
ROOT = Principal("root", "ops", BOTH | {"admin"}, token_id="r", issued_at=1)
ELSEWHERE = Principal("alice", "claude", BOTH, frozenset({"other"}), token_id="x")
WRITER = Principal("writer", "claude", frozenset({"write"}), token_id="w")

REVOCATIONS = Revocations()


@pytest.fixture
async def able(tmp_path: Path) -> AsyncIterator[Services]:
    async with opened(tmp_path) as store:
        settings = load_settings(data_dir=tmp_path, max_waits_per_principal=3, writes_per_second=0)
        made = make_services(store, settings, lambda who: not REVOCATIONS.cover(who))
        await made.sessions.create_session(ALICE, "to talk", "room")
        yield made


async def say(able: Services, who: Principal, *texts: str, **more: Any) -> list[int]:
    return [(await able.sessions.add_message(who, "room", text, **more)).id for text in texts]


async def unread(able: Services, who: Principal) -> int:
    """The count as it is kept, and as the database has it: they must agree."""
    kept = await able.inbox.unread(who, "room")
    reader = able.readers._readers.get(("room", who.agent_id))
    if reader is not None:
        reader.unread = None
        assert await able.inbox.unread(who, "room") == kept
    return kept


async def read(able: Services, who: Principal, **how: Any) -> list[int]:
    page = await storing.read(able, who, **how)
    return [message["id"] for message in page["messages"]]


async def read_unread(able: Services, who: Principal, limit: int = 50) -> list[int]:
    page = await able.inbox.get_unread(who, "room", limit)
    return [message["id"] for message in page["messages"]]


async def wait(able: Services, who: Principal, **how: Any) -> list[int]:
    heard = await able.waits.wait(who, "room", **how)
    assert (heard["outcome"] == "messages") == bool(heard["messages"])
    return [message["id"] for message in heard["messages"]]


async def waits(able: Services, count: int) -> None:
    await until(lambda: len(able.waiting) == count)


async def test_others_messages_are_unread_until_they_are_read(able: Services) -> None:
    await say(able, ALICE, "one", "two", "three")
    assert (await unread(able, BOB), await unread(able, ALICE)) == (3, 0)
    assert await read_unread(able, BOB, limit=2) == [2, 3]  # the first time: the newest
    assert await unread(able, BOB) == 0
    await say(able, ALICE, "four", "five", "six")
    assert await unread(able, BOB) == 3
    assert await read_unread(able, BOB, limit=2) == [4, 5]
    assert await unread(able, BOB) == 1
    assert await read(able, BOB) == [1, 2, 3, 4, 5, 6]
    assert await unread(able, BOB) == 0
    assert await read_unread(able, BOB) == []


async def test_a_page_further_on_leaves_what_lies_between_unread(able: Services) -> None:
    await say(able, ALICE, "one")
    assert await read(able, BOB) == [1]
    await say(able, ALICE, *(f"m{number}" for number in range(5)))
    assert await read(able, BOB, limit=2) == [5, 6]
    assert await unread(able, BOB) == 3
    assert await read(able, BOB, after=3, limit=1) == [4]
    assert await unread(able, BOB) == 2
    assert await read(able, BOB, after=3, limit=2) == [4, 5]
    assert await unread(able, BOB) == 2
    assert await read_unread(able, BOB) == [2, 3]
    assert await unread(able, BOB) == 0
    await say(able, ALICE, "next")
    assert await read_unread(able, BOB) == [7]


async def test_what_a_filtered_page_gives_is_read_and_nothing_else(able: Services) -> None:
    await say(able, ALICE, "one")
    await say(able, EVE, "two")
    await say(able, ALICE, "three")
    for _ in range(2):
        assert await read(able, BOB, sender="eve") == [2]
        assert await unread(able, BOB) == 2
    assert await read_unread(able, BOB) == [1, 3]
    assert await unread(able, BOB) == 0


async def test_what_was_given_out_of_turn_is_read_also_after_a_restart(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    async with opened(tmp_path) as store:
        able = make_services(store, settings)
        await able.sessions.create_session(ALICE, "to talk", "room")
        await say(able, ALICE, "one", "@bob two", "three", "@bob four")
        assert await wait(able, BOB, wanted="calls") == [2, 4]
        assert await read_unread(able, BOB) == [1, 3]
        await say(able, ALICE, "five", "@bob six")
        assert await wait(able, BOB, wanted="calls") == [6]
        await able.readers.save()
    async with opened(tmp_path) as store:
        able = make_services(store, settings)
        assert await unread(able, BOB) == 1
        assert await wait(able, BOB, wanted="calls", timeout_seconds=0) == []
        assert await read_unread(able, BOB) == [5]


async def test_what_may_not_be_seen_is_not_counted(able: Services) -> None:
    await say(able, ALICE, "mine", visibility="private")
    await say(able, ALICE, "ours", visibility="agent_only")
    await say(able, ROOT, "theirs", visibility="admin_only")
    await say(able, ALICE, "all")
    counts = {who.agent_id: await unread(able, who) for who in (ALICE, BOB, EVE, ROOT)}
    assert counts == {"alice": 0, "bob": 2, "eve": 1, "root": 2}


async def test_positions_outlive_the_node(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    async with opened(tmp_path) as store:
        able = make_services(store, settings)
        await able.sessions.create_session(ALICE, "to talk", "room")
        await say(able, ALICE, "one", "two")
        assert await read(able, BOB, after=0, limit=1) == [1]
        await able.readers.save()
    async with opened(tmp_path) as store:
        able = make_services(store, settings)
        assert await unread(able, BOB) == 1
        assert await read_unread(able, BOB) == [2]


async def test_a_count_while_messages_pour_in_is_exact(able: Services) -> None:
    async def pour() -> None:
        await asyncio.gather(*(say(able, ALICE, f"m{number}") for number in range(200)))

    pouring = asyncio.create_task(pour())
    while not pouring.done():
        reader = able.readers._readers.get(("room", "bob"))
        if reader is not None:
            reader.unread = None
        await asyncio.gather(*(able.inbox.unread(BOB, "room") for _ in range(3)))
        await read_unread(able, BOB, limit=7)
    await pouring
    left = await unread(able, BOB)
    assert len(await read_unread(able, BOB, limit=1000)) == left


async def test_the_unread_count_is_bounded(able: Services) -> None:
    await asyncio.gather(*(say(able, ALICE, "m") for _ in range(COUNTED + 5)))
    assert await read(able, BOB, after=0, limit=1) == [1]
    assert await unread(able, BOB) == COUNTED
    assert len(await read_unread(able, BOB, limit=10)) == 10
    assert await unread(able, BOB) == COUNTED - 6


async def test_waiting_returns_at_once_what_is_there(able: Services) -> None:
    await say(able, ALICE, "one")
    assert await wait(able, BOB) == [1]
    assert await wait(able, BOB, after=0, timeout_seconds=0) == [1]
    assert await wait(able, BOB, timeout_seconds=0) == []
    assert await wait(able, ALICE, timeout_seconds=0) == []  # its own is no news
    assert await wait(able, ALICE, after=0, timeout_seconds=0) == [1]


async def test_waiting_is_woken_by_what_it_may_see_alone(able: Services) -> None:
    waiting = asyncio.create_task(wait(able, BOB))
    await waits(able, 1)
    await say(able, EVE, "for eve", visibility="private")
    await say(able, EVE, "for codex", visibility="agent_only")
    await say(able, BOB, "my own")
    await say(able, ROOT, "for admins", visibility="admin_only")
    assert not waiting.done()
    (id_,) = await say(able, EVE, "for all")
    assert await waiting == [id_]
    assert await unread(able, BOB) == 0
    assert len(able.waiting) == 0


async def test_a_mention_wakes_who_waits_for_one_and_is_given_once(able: Services) -> None:
    await say(able, ALICE, "nobody in particular", "@bob look")
    assert await wait(able, BOB, wanted="calls") == [2]
    assert await wait(able, BOB, wanted="calls", timeout_seconds=0) == []  # once is enough
    waiting = asyncio.create_task(wait(able, BOB, wanted="calls"))
    await waits(able, 1)
    await say(able, ALICE, "@bobby is somebody else", "@eve too")
    await say(able, BOB, "@bob to myself")
    await say(able, EVE, "@bob in vain", visibility="private")
    assert not waiting.done()
    (id_,) = await say(able, ALICE, "@Bob/reviewer, please")
    assert await waiting == [id_]
    assert await unread(able, BOB) == 3  # mentions out of turn leave the rest unread
    assert await read_unread(able, BOB) == [1, 3, 4]


async def test_everybody_wakes_once(able: Services) -> None:
    people = [Principal(f"p{number}", "claude", BOTH, token_id="t") for number in range(50)]
    waiting = [asyncio.create_task(wait(able, who)) for who in people]
    await waits(able, 50)
    (id_,) = await say(able, ALICE, "wake up")
    assert await asyncio.gather(*waiting) == [[id_]] * 50


async def test_two_waits_of_one_principal_both_hear(able: Services) -> None:
    waiting = [asyncio.create_task(wait(able, BOB)) for _ in range(2)]
    await waits(able, 2)
    (id_,) = await say(able, ALICE, "both of you")
    assert await asyncio.gather(*waiting) == [[id_]] * 2
    assert await unread(able, BOB) == 0


async def test_waits_of_one_principal_are_bounded(able: Services) -> None:
    waiting = [asyncio.create_task(wait(able, BOB)) for _ in range(3)]
    await waits(able, 3)
    with pytest.raises(RateLimited):
        await wait(able, BOB)
    assert await wait(able, EVE, timeout_seconds=0) == []
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert len(able.waiting) == 0


async def test_a_cancelled_wait_has_read_nothing(able: Services) -> None:
    waiting = asyncio.create_task(wait(able, BOB))
    await waits(able, 1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await say(able, ALICE, "is anybody there?")
    assert await unread(able, BOB) == 1


async def test_who_waits_hears_that_the_node_stops(able: Services) -> None:
    waiting = asyncio.create_task(able.waits.wait(BOB, "room"))
    await waits(able, 1)
    able.waiting.end()
    assert (await waiting)["outcome"] == "server_stopping"
    assert (await able.waits.wait(BOB, "room"))["outcome"] == "server_stopping"


async def test_a_revoked_token_hears_nothing(able: Services) -> None:
    gone = Principal("gone", "claude", BOTH, token_id="g", issued_at=1)
    waiting = asyncio.create_task(wait(able, gone))
    await waits(able, 1)
    REVOCATIONS.add(Revocation(1, "g", None, 2**40))
    await say(able, ALICE, "not for you any more")
    with pytest.raises(Unauthenticated):
        await waiting
    assert await unread(able, gone) == 1


async def test_bad_arguments_are_refused(able: Services) -> None:
    for how in (
        {"timeout_seconds": -1},
        {"timeout_seconds": 301},
        {"timeout_seconds": float("nan")},
        {"timeout_seconds": True},
        {"after": -1},
        {"after": "1"},
    ):
        with pytest.raises(InvalidInput):
            await wait(able, BOB, **how)
    for who, error in ((ELSEWHERE, SessionNotFound), (WRITER, Forbidden)):
        with pytest.raises(error):
            await wait(able, who)
    with pytest.raises(SessionNotFound):
        await able.waits.wait(BOB, "nowhere")


async def test_nobody_in_particular_hears_what_comes(able: Services) -> None:
    await say(able, ALICE, "before")
    waiting = asyncio.create_task(wait(able, NOBODY))
    await waits(able, 1)
    await say(able, ALICE, "hidden", visibility="agent_only")
    (id_,) = await say(able, ALICE, "now")
    assert await waiting == [id_]
    assert await able.inbox.unread(NOBODY, "room") == 0
    with pytest.raises(Forbidden):
        await read_unread(able, NOBODY)
    with pytest.raises(Forbidden):
        await wait(able, NOBODY, wanted="calls")


async def test_reading_through_is_what_a_person_says(able: Services) -> None:
    await say(able, ALICE, "one", "two", "three")
    assert await able.inbox.read_through(BOB, "room", 2) == 1
    assert await able.inbox.read_through(BOB, "room", 1) == 1
    assert await able.inbox.read_through(BOB, "room", 10**9) == 0
    await say(able, ALICE, "four")
    assert await unread(able, BOB) == 1  # nobody has read what is not there yet


@pytest.mark.parametrize("how", [{}, {"after": 2}, {"wanted": "calls"}])
async def test_a_closed_session_says_so_at_once_after_what_is_unread(
    able: Services, how: dict[str, Any]
) -> None:
    await say(able, ALICE, "one", "@bob two")
    await able.moderation.close_session(ALICE, "room")
    if how != {"after": 2}:
        heard = await able.waits.wait(BOB, "room", **how)
        assert (heard["outcome"], heard["messages"][-1]["id"]) == ("messages", 2)
    for _ in range(2):
        async with asyncio.timeout(20):  # of the 55 it would wait
            heard = await able.waits.wait(BOB, "room", **how)
        assert (heard["outcome"], heard["messages"]) == ("closed", [])
    heard = await able.waits.wait(NOBODY, "room")
    assert heard["outcome"] == "closed"


async def test_a_closing_ends_the_waits_of_its_session(able: Services) -> None:
    await able.sessions.create_session(ALICE, "to talk", "other")
    here = asyncio.create_task(able.waits.wait(BOB, "room"))
    there = asyncio.create_task(able.waits.wait(BOB, "other"))
    await waits(able, 2)
    await able.moderation.update_session(ALICE, "room", "closes soon")
    await able.moderation.close_session(ALICE, "other")
    assert (await there)["outcome"] == "closed"
    assert not here.done()
    (last, closed) = await asyncio.gather(
        say(able, ALICE, "last"), able.moderation.close_session(ALICE, "room")
    )
    heard = await here
    assert ([one["id"] for one in heard["messages"]], heard["outcome"]) == (last, "messages")
    assert (await able.waits.wait(BOB, "room"))["outcome"] == "closed"
    assert closed["closed_at"]


async def test_a_closing_whose_caller_goes_away_ends_waits_as_well(able: Services) -> None:
    waiting = asyncio.create_task(able.waits.wait(BOB, "room"))
    await waits(able, 1)
    closing = asyncio.create_task(able.moderation.close_session(ALICE, "room"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # its write is on its way
    closing.cancel()
    async with asyncio.timeout(20):
        assert (await waiting)["outcome"] == "closed"
