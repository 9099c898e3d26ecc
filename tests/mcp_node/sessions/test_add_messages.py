"""Adding several messages together: all or none, in a row, and once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mcp_node.services import Services, make_services
from proto.errors import (
    Forbidden,
    InvalidInput,
    KeyReused,
    LoopGuard,
    ParentNotFound,
    PartylineError,
    RateLimited,
    SessionClosed,
    SessionNotFound,
    TooLarge,
)
from proto.messages import Message, Principal
from proto.settings import load_settings
from serving.http.identity import NOBODY
from tests.mcp_node import storing
from tests.mcp_node.doors.test_answers import Agent, agents
from tests.mcp_node.inbox.test_inbox import (
    ALICE,
    BOB,
    ELSEWHERE,
    EVE,
    ROOT,
    able,
    read,
    say,
    unread,
    wait,
    waits,
)
from tests.mcp_node.making import opened
from tests.mcp_node.sessions.test_loop_guard import HUMAN, Opening, opening

__all__ = ["able", "agents", "opening"]

READER = Principal("reader", "claude", frozenset({"read"}), token_id="r")


def texts(*contents: str, **more: Any) -> list[dict[str, Any]]:
    return [{"content": content, **more} for content in contents]


async def add(able: Services, who: Principal, messages: Any, key: str | None = None) -> list[int]:
    added = await able.sessions.add_messages(who, "room", messages, key)
    return list(added.ids)


async def test_they_get_ids_in_a_row_in_their_order(able: Services) -> None:
    (asked,) = await say(able, BOB, "what did you find?")
    found = [
        {"content": "one", "metadata": {"kind": "finding"}},
        {"content": "two", "visibility": "private"},
        {"content": "three", "parent_message_id": asked},
    ]
    both = await asyncio.gather(add(able, ALICE, found), add(able, EVE, texts("four", "five")))
    assert both == [[2, 3, 4], [5, 6]]
    page = await storing.read(able, ALICE)
    shown = {message["id"]: message for message in page["messages"]}
    assert [shown[number]["content"] for number in (2, 3, 4)] == ["one", "two", "three"]
    assert shown[2]["metadata"] == {"kind": "finding"}
    assert shown[4]["parent_message_id"] == asked
    assert await read(able, BOB) == [1, 2, 4, 5, 6]


async def test_who_waits_gets_them_together(able: Services) -> None:
    waiting = asyncio.create_task(wait(able, BOB, timeout_seconds=30))
    await waits(able, 1)
    added = await add(able, ALICE, texts(*(f"m{number}" for number in range(50))))
    assert await waiting == added
    assert await unread(able, BOB) == 0
    assert await unread(able, EVE) == 50


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({}, InvalidInput),
        ({"content": " "}, InvalidInput),
        ({"content": 1}, InvalidInput),
        ({"content": "x" * 100_001}, TooLarge),
        ({"content": "x", "metadata": []}, InvalidInput),
        ({"content": "x", "visibility": "direct"}, InvalidInput),
        ({"content": "x", "visibility": "admin_only"}, Forbidden),
        ({"content": "x", "parent_message_id": 0}, InvalidInput),
        ({"content": "x", "parent_message_id": 99}, ParentNotFound),
        ({"content": "x", "parent_message_id": 3}, ParentNotFound),  # one of them
        ({"content": "x", "parent_message_id": 2}, ParentNotFound),  # not for bob's eyes
        ({"content": "x", "speaking_as": "me"}, InvalidInput),
        ("x", InvalidInput),
    ],
)
async def test_if_one_is_refused_none_is_added(
    able: Services, wrong: Any, error: type[PartylineError]
) -> None:
    await say(able, ALICE, "one")
    await say(able, ALICE, "hush", visibility="private")
    with pytest.raises(error) as refused:
        await add(able, BOB, [*texts("a", "b"), wrong], "k")
    assert str(refused.value).startswith(f"{error.code}: messages[2]")
    assert await read(able, ALICE) == [1, 2]
    assert await add(able, BOB, texts("a", "b"), "k") == [3, 4]  # the key is free


async def test_a_reply_that_more_would_see_is_refused_with_the_others(able: Services) -> None:
    (ours,) = await say(able, ALICE, "ours", visibility="agent_only")
    with pytest.raises(InvalidInput, match="messages"):
        await add(able, BOB, [*texts("a"), {"content": "b", "parent_message_id": ours}])
    assert await read(able, ALICE) == [ours]


@pytest.mark.parametrize("bad", [None, [], {}, "x", [{"content": "x"}] * 51, [None]])
async def test_a_wrong_list_is_refused(able: Services, bad: Any) -> None:
    with pytest.raises(InvalidInput, match="messages"):
        await add(able, ALICE, bad)


async def test_who_may_not_write_adds_nothing(able: Services) -> None:
    with pytest.raises(Forbidden):
        await add(able, READER, texts("a"))
    with pytest.raises(SessionNotFound):
        await add(able, ELSEWHERE, texts("a"))
    with pytest.raises(SessionNotFound):
        await able.sessions.add_messages(ALICE, "nowhere", texts("a"))
    with pytest.raises(Forbidden):
        await add(able, NOBODY, texts("a", visibility="private"))
    assert await add(able, ROOT, texts("a", visibility="admin_only")) == [1]


async def test_a_retry_of_the_call_adds_nothing(able: Services) -> None:
    retries = await asyncio.gather(*(add(able, ALICE, texts("a", "b"), "k") for _ in range(10)))
    assert retries == [[1, 2]] * 10
    assert await add(able, BOB, texts("a", "b"), "k") == [3, 4]
    for other in (
        texts("a"),
        texts("b", "a"),
        texts("a", "b", "c"),
        texts("a", "b", metadata={"x": 1}),
    ):
        with pytest.raises(KeyReused):
            await add(able, ALICE, other, "k")
    with pytest.raises(KeyReused):
        await say(able, ALICE, "a", idempotency_key="k")
    await say(able, ALICE, "a", idempotency_key="single")
    with pytest.raises(KeyReused):
        await add(able, ALICE, texts("a"), "single")


async def test_a_retry_is_recognised_whatever_was_deleted_since(able: Services) -> None:
    await add(able, ALICE, texts("a", "b", "c"), "k")
    for number in (1, 3):
        await able.deletion.delete_message(ALICE, "room", number)
        again = await able.sessions.add_messages(ALICE, "room", texts("a", "b", "c"), "k")
        assert list(again.ids) == [1, 2, 3]
        assert number in [message.id for message in again.messages if message.deleted]
        with pytest.raises(KeyReused):
            await add(able, ALICE, texts("x", "b", "c"), "k")


async def test_a_closed_session_takes_none_but_answers_a_retry(able: Services) -> None:
    await add(able, ALICE, texts("a", "b"), "k")
    await able.moderation.close_session(ALICE, "room")
    with pytest.raises(SessionClosed):
        await add(able, ALICE, texts("c"))
    assert await add(able, ALICE, texts("a", "b"), "k") == [1, 2]


async def test_each_counts_for_the_guard_against_loops(opening: Opening) -> None:
    async with opening(messages_per_minute=5) as able:
        for _ in range(2):
            with pytest.raises(LoopGuard, match="at once"):
                await add(able, ALICE, texts(*"abcdef"))
        assert await add(able, ALICE, texts(*"abc")) == [1, 2, 3]
        with pytest.raises(LoopGuard, match="3 more messages"):
            await add(able, ALICE, texts(*"abc"))
        assert await add(able, ALICE, texts(*"ab")) == [4, 5]
        with pytest.raises(LoopGuard):
            await add(able, ALICE, texts("a"))


async def test_each_counts_since_a_person_spoke(opening: Opening) -> None:
    async with opening(agent_messages_without_human=4) as able:
        assert await add(able, ALICE, texts(*"abc")) == [1, 2, 3]
        with pytest.raises(LoopGuard):
            await add(able, ALICE, texts(*"ab"))
        assert await add(able, ALICE, texts("a")) == [4]
        with pytest.raises(LoopGuard):
            await add(able, ALICE, texts("a"))
        assert await add(able, HUMAN, texts(*"abcde")) == [5, 6, 7, 8, 9]
        assert await add(able, ALICE, texts(*"abcd")) == [10, 11, 12, 13]


async def test_each_counts_against_the_write_rate(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, writes_per_second=2)
    async with opened(tmp_path) as store:
        able = make_services(store, settings)
        await able.sessions.create_session(ALICE, "to talk", "room")
        with pytest.raises(RateLimited, match="at once"):
            await add(able, BOB, texts(*"abcde"))
        assert await add(able, BOB, texts(*"abcd")) == [1, 2, 3, 4]
        with pytest.raises(RateLimited):
            await add(able, BOB, texts(*"abcd"))


async def test_they_are_announced_once_and_together(tmp_path: Path) -> None:
    announced: list[list[Message]] = []
    async with opened(tmp_path) as store:
        store.on_commit(lambda messages: announced.append(list(messages)))
        able = make_services(store, load_settings(data_dir=tmp_path))
        await able.sessions.create_session(ALICE, "to talk", "room")
        await add(able, ALICE, texts("a", "b", "c"), "k")
        await add(able, ALICE, texts("a", "b", "c"), "k")
    assert [[message.id for message in each] for each in announced] == [[1, 2, 3]]
    assert [message.prev for message in announced[0]] == [0, 1, 2]


async def test_the_tool_gives_the_ids_and_names_nobody_has(
    agents: tuple[Agent, Agent, Agent],
) -> None:
    alice, bob, _ = agents
    messages = texts("@adda and @bob: one", "@adda and @zoe: two")
    await bob("get_messages", session_id="room")
    call = {"session_id": "room", "messages": messages, "idempotency_key": "k"}
    added = await alice("add_messages", **call)
    assert added == {"message_ids": [1, 2], "unread": 0, "unknown_mentions": ["adda", "zoe"]}
    await alice("delete_message", session_id="room", message_id=2)
    again = await alice("add_messages", **call)
    assert (again["message_ids"], again["deleted"]) == ([1, 2], [2])
    text = await alice.refused("add_messages", session_id="room", messages=[])
    assert text.startswith("INVALID_INPUT: messages")
