"""Replies: they call the author of what they answer, as a mention does."""

import asyncio

import pytest

from mcp_node.log.interface import Database
from mcp_node.services import Services
from mcp_node.sessions.operations import AppendMessage, CreateSession
from proto.messages import Principal
from serving.http.identity import NOBODY
from tests.mcp_node.inbox.test_inbox import (
    ALICE,
    BOB,
    BOTH,
    EVE,
    ROOT,
    able,
    read_unread,
    say,
    unread,
    wait,
    waits,
)
from tests.mcp_node.making import CODEX, new_message, new_session

__all__ = ["able"]


async def called(able: Services, who: Principal, after: int | None = None) -> list[int]:
    return await wait(able, who, after=after, wanted="calls", timeout_seconds=0)


async def state(able: Services, asker: Principal, message_id: int) -> dict[str, str]:
    found = await able.roster.receipts(asker, "room", message_id)
    return {one["name"]: one["state"] for one in found["mentioned"]}


async def test_a_reply_is_there_for_the_author_of_its_parent(able: Services) -> None:
    (asked,) = await say(able, BOB, "what now?")
    await say(able, ALICE, "something else")
    (answer,) = await say(able, ALICE, "this", parent_message_id=asked)
    assert await state(able, ALICE, answer) == {"bob": "not_given"}
    assert await unread(able, BOB) == 2
    assert await called(able, EVE) == []
    assert await called(able, BOB) == [answer]
    assert await called(able, BOB) == []  # once is enough
    assert await called(able, BOB, after=0) == [answer]
    assert await state(able, ALICE, answer) == {"bob": "given"}
    assert await unread(able, BOB) == 1
    assert await read_unread(able, BOB) == [2]


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_reply_wakes_the_author_of_its_parent_and_nobody_else(
    able: Services, remembered: bool
) -> None:
    (asked,) = await say(able, BOB, "what now?")
    (other,) = await say(able, EVE, "and I?")
    if not remembered:  # as after a restart: the log is read
        able.waiting._authors.clear()
    waiting = [
        asyncio.create_task(wait(able, who, wanted="calls", timeout_seconds=30))
        for who in (BOB, EVE)
    ]
    await waits(able, 2)
    (answer,) = await say(able, ALICE, "this", parent_message_id=asked)
    assert await waiting[0] == [answer]
    assert not waiting[1].done()
    await say(able, BOB, "@alice thanks", parent_message_id=answer)
    (second,) = await say(able, ALICE, "and that", parent_message_id=other)
    assert await waiting[1] == [second]


async def test_replying_to_oneself_calls_nobody(able: Services) -> None:
    (asked,) = await say(able, BOB, "what now?")
    (more,) = await say(able, BOB, "I mean it", parent_message_id=asked, speaking_as="reviewer")
    assert await state(able, ALICE, more) == {}
    assert await called(able, BOB) == await called(able, ALICE) == []


async def test_a_reply_to_a_sub_agent_calls_its_principal(able: Services) -> None:
    (asked,) = await say(able, BOB, "what now?", speaking_as="reviewer")
    (answer,) = await say(able, ALICE, "this", parent_message_id=asked)
    assert await state(able, ALICE, answer) == {"bob": "not_given"}
    assert await called(able, BOB) == [answer]


async def test_a_reply_that_mentions_its_parents_author_calls_it_once(able: Services) -> None:
    big = Principal("Bob-2", "claude", BOTH, token_id="b2")
    (asked,) = await say(able, big, "what now?")
    (answer,) = await say(able, ALICE, "@BOB-2 this", parent_message_id=asked)
    assert await state(able, ALICE, answer) == {"bob-2": "not_given"}
    assert await called(able, big) == [answer]


async def test_who_may_not_see_a_reply_is_not_called_by_it(able: Services) -> None:
    (asked,) = await say(able, EVE, "what now?")
    waiting = asyncio.create_task(wait(able, EVE, wanted="calls", timeout_seconds=30))
    await waits(able, 1)
    for who, level in ((ALICE, "private"), (ALICE, "agent_only"), (ROOT, "admin_only")):
        (hidden,) = await say(able, who, "hush", visibility=level, parent_message_id=asked)
        assert await state(able, who, hidden) == {}
    assert await unread(able, EVE) == 0
    (answer,) = await say(able, ALICE, "this", parent_message_id=asked)
    assert await waiting == [answer]


async def test_a_deleted_reply_calls_nobody_any_more(able: Services) -> None:
    (asked,) = await say(able, BOB, "what now?")
    (answer,) = await say(able, ALICE, "this", parent_message_id=asked)
    await able.deletion.delete_message(ALICE, "room", answer)
    assert await state(able, ALICE, answer) == {}
    assert await called(able, BOB) == []


async def test_a_reply_to_a_caller_without_a_name_calls_nobody(able: Services) -> None:
    (asked,) = await say(able, NOBODY, "what now?")
    (answer,) = await say(able, ALICE, "this", parent_message_id=asked)
    assert await state(able, ALICE, answer) == {}


@pytest.mark.parametrize("broken", [False, True])
async def test_replies_of_one_transaction_call_each_author(store: Database, broken: bool) -> None:
    """``broken``: a failed write beside them, so that all run again under savepoints."""
    await store.write(CreateSession(new_session(), None))
    await store.write(AppendMessage(new_message(author=CODEX)))
    writes = [
        store.write(AppendMessage(new_message(parent=1))),
        store.write(AppendMessage(new_message("nowhere" if broken else "room"))),
        store.write(AppendMessage(new_message(author=CODEX, parent=1))),
        store.write(AppendMessage(new_message(author=CODEX, parent=2))),
    ]
    failed = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(one, Exception) for one in failed] == [False, broken, False, False]
    rows = await store.read(
        lambda db: db.execute("SELECT message_id, name FROM mentions ORDER BY 1").fetchall()
    )
    last = max(one.id for one in failed if not isinstance(one, BaseException))
    assert [tuple(row) for row in rows] == [(2, "codex-1"), (last, "claude-main")]
