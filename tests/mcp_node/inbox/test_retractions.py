"""What was taken back: who had it is told, once, as of any message; nobody else learns of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mcp_node.services import Services, make_services
from proto.messages import Principal
from proto.settings import load_settings
from tests.mcp_node import storing
from tests.mcp_node.inbox.test_inbox import (
    ALICE,
    BOB,
    EVE,
    ROOT,
    read,
    read_unread,
    say,
    unread,
    waits,
)
from tests.mcp_node.making import opened


@pytest.fixture
async def able(tmp_path: Path) -> AsyncIterator[Services]:
    async with opened(tmp_path) as store:
        made = make_services(store, load_settings(data_dir=tmp_path, writes_per_second=0))
        await made.sessions.create_session(ALICE, "to talk", "room")
        yield made


async def delete(able: Services, who: Principal, message_id: int) -> None:
    await able.deletion.delete_message(who, "room", message_id)


async def news(able: Services, who: Principal, **how: Any) -> list[dict[str, Any]]:
    page = await able.inbox.get_unread(who, "room", **how)
    messages: list[dict[str, Any]] = page["messages"]
    return messages


@pytest.mark.parametrize("wanted", ["all", "calls"])
async def test_a_retraction_wakes_who_had_the_text(able: Services, wanted: str) -> None:
    (said,) = await say(able, ALICE, "@bob the password is x")
    how = {"wanted": wanted}
    assert (await able.waits.wait(BOB, "room", **how))["messages"][0]["id"] == said
    waiting = asyncio.create_task(able.waits.wait(BOB, "room", timeout_seconds=30, **how))
    await waits(able, 1)
    await delete(able, ALICE, said)
    heard = await waiting
    assert (heard["messages"], heard["outcome"]) == ([{"id": 2, "deletes": said}], "messages")
    assert await unread(able, BOB) == 0
    assert await news(able, BOB) == []
    again = await able.waits.wait(BOB, "room", timeout_seconds=0, **how)
    assert (again["messages"], again["outcome"]) == ([], "timeout")


async def test_a_retraction_is_unread_and_given_in_its_place(able: Services) -> None:
    await say(able, ALICE, "one", "two")
    await read(able, BOB)
    await say(able, ALICE, "three")
    await delete(able, ALICE, 1)  # 4
    await say(able, ALICE, "five")
    assert (await unread(able, BOB), await unread(able, ALICE)) == (3, 0)
    first, second, third = await news(able, BOB)
    assert (first["id"], second, third["id"]) == (3, {"id": 4, "deletes": 1}, 5)
    assert await unread(able, BOB) == 0


async def test_an_author_learns_that_an_admin_deleted_it(able: Services) -> None:
    (said,) = await say(able, ALICE, "one")
    await delete(able, ROOT, said)
    assert (await unread(able, ALICE), await unread(able, ROOT)) == (1, 0)
    assert await news(able, ALICE) == [{"id": 2, "deletes": said}]
    assert await unread(able, ALICE) == 0


async def test_who_never_had_the_text_is_told_nothing(able: Services) -> None:
    await say(able, ALICE, "zero")
    await read(able, BOB)
    (said,) = await say(able, ALICE, "one")
    (ours,) = await say(able, ALICE, "ours", visibility="agent_only")
    await read_unread(able, EVE)
    waiting = asyncio.create_task(able.waits.wait(EVE, "room", timeout_seconds=30))
    await waits(able, 1)
    before = await able.inbox.unread(EVE, "room")
    await delete(able, ALICE, ours)
    await delete(able, ALICE, said)
    assert (await waiting)["messages"] == [{"id": 5, "deletes": said}]
    assert before == await unread(able, EVE) == await unread(able, BOB) == 0
    (last,) = await say(able, ALICE, "last")
    assert [one["id"] for one in await news(able, BOB)] == [last]
    assert await unread(able, BOB) == 0


async def test_what_was_gone_before_it_was_reached_is_passed_without_a_word(
    able: Services,
) -> None:
    await say(able, ALICE, "zero")
    await read(able, BOB)
    await say(able, ALICE, "one", "two", "three")
    await delete(able, ALICE, 2)
    assert await unread(able, BOB) == 2
    assert [one["id"] for one in await news(able, BOB, limit=1)] == [3]
    assert await unread(able, BOB) == 1
    assert [one["id"] for one in await news(able, BOB)] == [4]
    assert await news(able, BOB) == []


async def test_a_newest_page_that_does_not_show_it_leaves_it_unread(able: Services) -> None:
    await say(able, ALICE, *(f"m{number}" for number in range(5)))
    await read(able, BOB)
    await delete(able, ALICE, 1)  # 6
    await say(able, ALICE, "seven", "eight")
    assert await read(able, BOB, limit=4) == [4, 5, 7, 8]
    assert await unread(able, BOB) == 1
    assert await news(able, BOB) == [{"id": 6, "deletes": 1}]


async def test_a_newest_page_that_shows_it_tells_of_it(able: Services) -> None:
    await say(able, ALICE, "one", "two")
    await read(able, BOB)
    await delete(able, ALICE, 2)
    view = await able.inbox.get_session(BOB, "room", mark_read=True)
    assert [one.get("deleted") for one in view["messages"]] == [None, True]
    await able.inbox.get_session(EVE, "room", mark_read=True)  # she joins
    assert await unread(able, BOB) == await unread(able, EVE) == 0
    assert await news(able, BOB) == await news(able, EVE) == []


async def test_what_comes_after_an_id_has_everybodys(able: Services) -> None:
    await say(able, ALICE, "one", "two")
    await delete(able, ALICE, 1)
    for who in (ALICE, BOB, EVE):
        page = await storing.read(able, who, after=2)
        assert page["messages"] == [{"id": 3, "deletes": 1}]
        heard = await able.waits.wait(who, "room", after=2, timeout_seconds=0)
        assert heard["messages"] == page["messages"]
    filtered = await storing.read(able, BOB, after=0, sender="alice")
    assert [one["id"] for one in filtered["messages"]] == [1, 2]
    waiting = asyncio.create_task(able.waits.wait(ALICE, "room", after=3))
    await waits(able, 1)
    await delete(able, ALICE, 2)
    assert (await waiting)["messages"] == [{"id": 4, "deletes": 2}]


async def test_a_deletion_between_messages_is_given_with_them(able: Services) -> None:
    (said,) = await say(able, ALICE, "one")
    await read(able, BOB)
    waiting = asyncio.create_task(able.waits.wait(BOB, "room"))
    await waits(able, 1)
    await asyncio.gather(delete(able, ALICE, said), say(able, ALICE, "two"))
    first = (await waiting)["messages"]
    rest = await news(able, BOB)
    told = [one for one in (*first, *rest) if "deletes" in one]
    assert [one["deletes"] for one in told] == [said]
    assert len(first) + len(rest) == 2
