"""Waiting for a part of what is said: calls, a thread, a sender; and for a burst as a whole."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcp_node.inbox.waiting import HELD
from mcp_node.inbox.waits import _unsettled
from mcp_node.services import Services, make_services
from mcp_node.sessions.reads import Page
from proto.errors import Forbidden, InvalidInput, MessageNotFound
from proto.messages import Message, Principal, Visibility, encode_metadata, utc, utc_now
from proto.settings import load_settings
from tests.mcp_node.making import opened
from tests.waiting import until

ALICE = Principal("alice", "claude", frozenset({"read", "write"}))
BOB = Principal("bob", "claude", frozenset({"read", "write"}))
EVE = Principal("eve", "codex", frozenset({"read", "write"}))
WRITER = Principal("writer", "claude", frozenset({"write"}))


@pytest.fixture
async def able(tmp_path: Path) -> AsyncIterator[Services]:
    async with opened(tmp_path) as store:
        made = make_services(store, load_settings(data_dir=tmp_path))
        await made.sessions.create_session(ALICE, "to talk", "room")
        yield made


async def say(
    able: Services, text: str = "hello", who: Principal = ALICE, parent: int | None = None, **more
) -> int:
    message = await able.sessions.add_message(who, "room", text, parent_message_id=parent, **more)
    return message.id


async def wait(able: Services, who: Principal = BOB, **how: Any) -> list[int]:
    heard = await able.waits.wait(who, "room", **{"timeout_seconds": 0, **how})
    return [each["id"] for each in heard["messages"]]


async def waiting(able: Services, who: Principal = BOB, **how: Any) -> asyncio.Task[list[int]]:
    """A wait that has begun to listen."""
    before = len(able.waiting)
    task = asyncio.create_task(wait(able, who, **{"timeout_seconds": 60, **how}))
    await until(lambda: _more(able, before))
    return task


async def _more(able: Services, before: int) -> bool:
    return len(able.waiting) > before


async def unread(able: Services) -> list[int]:
    page = await able.inbox.get_unread(BOB, "room")
    return [each["id"] for each in page["messages"]]


@pytest.mark.parametrize("settle", [0, 0.05])
async def test_a_thread_is_heard_alone(able: Services, settle: float) -> None:
    root = await say(able)
    await wait(able)
    task = await waiting(able, thread=root, settle_seconds=settle)
    aside = await say(able)
    other = await say(able, parent=aside)
    own = await say(able, who=BOB, parent=root)
    deep = await say(able, parent=own)
    assert await task == [deep]
    assert await wait(able, thread=root) == []
    assert await unread(able) == [aside, other]


async def test_what_is_there_under_a_message_is_returned_at_once(able: Services) -> None:
    root = await say(able)
    reply = await say(able, parent=root)
    called = await say(able, "@bob look", parent=reply)
    await say(able, "@bob aside")
    assert await wait(able, thread=root, wanted="calls") == [called]
    assert await wait(able, thread=root) == [reply]
    assert await wait(able, thread=root, after=0) == [reply, called]


async def test_a_sender_is_heard_alone(able: Services) -> None:
    task = await waiting(able, sender="alice")
    await say(able, who=EVE)
    heard = await say(able)
    assert await task == [heard]
    assert await wait(able, sender="eve", after=heard) == []
    assert await wait(able, sender="eve") == [heard - 1]


async def test_a_call_under_a_message_is_heard_alone(able: Services) -> None:
    root = await say(able)
    task = await waiting(able, thread=root, wanted="calls", sender="eve")
    await say(able, "@bob not eve", parent=root)
    await say(able, "no call", who=EVE, parent=root)
    await say(able, "@bob not there", who=EVE)
    called = await say(able, "@bob here", who=EVE, parent=root)
    assert await task == [called]


async def test_a_deletion_wakes_no_filtered_wait(able: Services) -> None:
    root = await say(able)
    reply = await say(able, parent=root)
    assert await wait(able, thread=root) == [reply]
    task = await waiting(able, thread=root)
    await able.deletion.delete_message(ALICE, "room", reply)
    later = await say(able, parent=reply)
    assert await task == [later]


async def test_a_burst_is_one_answer(able: Services) -> None:
    task = await waiting(able, settle_seconds=2)
    burst = await asyncio.gather(*(say(able) for _ in range(3)))
    assert await task == sorted(burst)
    assert await wait(able) == []


async def test_the_timeout_bounds_a_burst(able: Services) -> None:
    said = await say(able)
    assert await wait(able, settle_seconds=30) == [said]
    later = await say(able)
    assert await wait(able, settle_seconds=30, timeout_seconds=0.2) == [later]


async def test_a_full_answer_does_not_settle(able: Services) -> None:
    task = await waiting(able, settle_seconds=30)
    said = [await say(able) for _ in range(HELD)]
    assert await task == said


async def test_a_burst_ends_when_the_session_is_closed(able: Services) -> None:
    task = await waiting(able, settle_seconds=30)
    said = await say(able)
    await able.moderation.close_session(ALICE, "room")
    assert await task == [said]
    heard = await able.waits.wait(BOB, "room", settle_seconds=30)
    assert heard["outcome"] == "closed"
    heard = await able.waits.wait(BOB, "room", thread=said)
    assert heard["outcome"] == "closed"


async def test_a_cancelled_burst_was_not_read(able: Services) -> None:
    task = await waiting(able, settle_seconds=30)
    said = await say(able)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await unread(able) == [said]


async def test_two_waits_for_one_thread_share_what_comes(able: Services) -> None:
    root = await say(able)
    tasks = [await waiting(able, thread=root) for _ in range(2)]
    said = [await say(able, parent=root)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    said.append(await say(able, parent=root))
    assert sorted(id_ for heard in await asyncio.gather(*tasks) for id_ in heard) == said


def test_a_page_is_settled_once_its_last_message_is_old_enough() -> None:
    message = Message(
        *(1, 0, "room", "a", "a", "x", "hi", Visibility.PUBLIC, utc_now()),
        encode_metadata(None),
        None,
    )
    assert 29 < _unsettled(Page([message], False), 30) <= 30
    assert _unsettled(Page([message], True), 30) == 0
    assert _unsettled(Page([], False), 30) == 0
    assert _unsettled(Page([structs.replace(message, timestamp=utc(0))], False), 30) == 0


@pytest.mark.parametrize(
    "how",
    [
        {"wanted": "mentions"},
        {"wanted": None},
        {"settle_seconds": 31},
        {"settle_seconds": -1},
        {"settle_seconds": "1"},
        {"thread": 0},
        {"thread": True},
        {"sender": ""},
    ],
)
async def test_a_wrong_wish_is_refused(able: Services, how: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await wait(able, **how)
    assert len(able.waiting) == 0


async def test_a_thread_that_may_not_be_seen_does_not_exist(able: Services) -> None:
    hidden = await say(able, visibility="private")
    for wanted in ("all", "calls"):
        for thread in (hidden, 2**40):
            with pytest.raises(MessageNotFound):
                await wait(able, thread=thread, wanted=wanted)
    with pytest.raises(Forbidden):
        await wait(able, WRITER, thread=hidden)


async def test_hidden_replies_wake_nobody(able: Services) -> None:
    root = await say(able)
    task = await waiting(able, thread=root)
    await say(able, parent=root, visibility="private")
    said = await say(able, parent=root)
    assert await task == [said]


async def listed(able: Services, asker: Principal, name: str) -> Any:
    agents = await able.roster.agents(asker, "room")
    return next(one.get("waiting_for") for one in agents if one["name"] == name)


async def test_others_are_told_what_an_agent_waits_for(able: Services) -> None:
    root = await say(able)
    hidden = await say(able, visibility="agent_only")
    await say(able, who=EVE, speaking_as="tester")
    await say(able, "psst", speaking_as="spy", visibility="agent_only")
    assert await listed(able, EVE, "alice") is None
    tasks = [
        await waiting(able, wanted="calls", thread=root),
        await waiting(able, thread=hidden),
        await waiting(able, sender="alice/spy", after=100),
        await waiting(able, sender="eve/tester", after=100),
        await waiting(able, sender="eve", after=100),
        await waiting(able, sender="nobody", after=100),
    ]
    everything = [
        {"wanted": "calls", "thread": root},
        {"wanted": "all", "thread": hidden},
        {"wanted": "all", "sender": "alice/spy"},
        {"wanted": "all", "sender": "eve/tester"},
        {"wanted": "all", "sender": "eve"},
        {"wanted": "all"},
    ]
    assert await listed(able, ALICE, "bob") == everything
    told = [everything[0], {"wanted": "all"}, *everything[3:5]]
    assert await listed(able, EVE, "bob") == told
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await listed(able, EVE, "bob") is None
