"""Closing and changing a session: who may, what is refused from then on, and what goes on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mcp_node.services import Services, make_services
from proto.errors import (
    Forbidden,
    InvalidInput,
    PartylineError,
    SessionClosed,
    SessionNotFound,
    TooLarge,
)
from proto.messages import Message, Principal
from proto.settings import load_settings
from serving.http.identity import NOBODY
from tests.mcp_node import storing
from tests.mcp_node.making import opened

WRITE = frozenset({"read", "write"})
MAKER = Principal("maker", "claude", WRITE, token_id="t1")
OTHER = Principal("other", "claude", WRITE, token_id="t2")
ADMIN = Principal("root", "ops", WRITE | {"admin"}, token_id="t3")
HUMAN = Principal("human", "human", WRITE, token_id="t4")
GUEST = Principal("guest:maker-0123abcd", "guest", WRITE, token_id="t5")
ADMINS_GUEST = Principal("guest:root-0123abcd", "guest", WRITE | {"admin"}, token_id="t6")
READER = Principal("maker", "claude", frozenset({"read"}), token_id="t7")
READING_ADMIN = Principal("root", "ops", frozenset({"read", "admin"}), token_id="t8")
ELSEWHERE = Principal("maker", "claude", WRITE, frozenset({"other"}), token_id="t9")

MAY = [MAKER, ADMIN, HUMAN]
MAY_NOT = [OTHER, GUEST, ADMINS_GUEST, READER, READING_ADMIN, NOBODY]


@pytest.fixture
async def all_of(tmp_path: Path) -> AsyncIterator[Services]:
    async with opened(tmp_path) as store:
        made = make_services(store, load_settings(data_dir=tmp_path))
        await made.sessions.create_session(MAKER, "to talk", "room", {"a": 1})
        yield made


@pytest.mark.parametrize("who", MAY, ids=lambda who: who.agent_id)
async def test_who_may_closes_it_for_everybody(all_of: Services, who: Principal) -> None:
    before = await all_of.sessions.add_message(OTHER, "room", "the last word")
    closed = await all_of.moderation.close_session(who, "room")
    assert closed["closed_at"] > before.timestamp
    for writer in (MAKER, OTHER, ADMIN, HUMAN):
        with pytest.raises(SessionClosed, match=r"SESSION_CLOSED.*create_session"):
            await all_of.sessions.add_message(writer, "room", "one more")
    view = await storing.view(all_of, OTHER)
    assert [message["content"] for message in view["messages"]] == ["the last word"]
    assert (view["closed_at"], view["message_count"]) == (closed["closed_at"], 1)
    (listed,) = await all_of.sessions.list_sessions(OTHER)
    assert (listed["closed_at"], listed["message_count"]) == (closed["closed_at"], 1)
    assert listed["last_activity"] == before.timestamp
    again = await all_of.sessions.create_session(OTHER, "anew", "room")
    assert (again["created"], again["closed_at"]) == (False, closed["closed_at"])


@pytest.mark.parametrize("who", MAY_NOT, ids=lambda who: who.token_id or "nobody")
async def test_others_may_not_close_or_change_it(all_of: Services, who: Principal) -> None:
    before = await storing.view(all_of, MAKER)
    for call in (
        all_of.moderation.close_session(who, "room"),
        all_of.moderation.update_session(who, "room", "mine now"),
        all_of.moderation.update_session(who, "room", messages_per_minute=0),
        all_of.moderation.update_session(who, "room", agent_messages=0),
    ):
        with pytest.raises(Forbidden):
            await call
    assert await storing.view(all_of, MAKER) == before


async def test_other_sessions_do_not_exist(all_of: Services) -> None:
    for who, room in ((ELSEWHERE, "room"), (MAKER, "unknown"), (ADMIN, "unknown")):
        with pytest.raises(SessionNotFound):
            await all_of.moderation.close_session(who, room)
        with pytest.raises(SessionNotFound):
            await all_of.moderation.update_session(who, room, "p")


async def test_closing_twice_is_closing_once(all_of: Services) -> None:
    closings = [all_of.moderation.close_session(who, "room") for who in (MAKER, ADMIN, HUMAN)]
    answers = await asyncio.gather(*closings)
    assert answers[0] == answers[1] == answers[2]
    assert await all_of.moderation.close_session(MAKER, "room") == answers[0]


async def test_a_retry_of_what_was_added_gives_its_first_answer(all_of: Services) -> None:
    first = await all_of.sessions.add_message(OTHER, "room", "once", idempotency_key="k")
    await all_of.moderation.close_session(MAKER, "room")
    assert await all_of.sessions.add_message(OTHER, "room", "once", idempotency_key="k") == first
    with pytest.raises(SessionClosed):
        await all_of.sessions.add_message(OTHER, "room", "twice", idempotency_key="k2")
    with pytest.raises(SessionClosed):
        await all_of.moderation.update_session(MAKER, "room", "too late")


async def test_nothing_is_added_after_closing(all_of: Services) -> None:
    """Twenty write without a pause; what comes after the closing in the queue is refused."""
    closing = asyncio.Event()

    async def write(number: int) -> list[Message]:
        who = Principal(f"agent-{number}", "claude", WRITE)
        added = []
        while True:
            try:
                added.append(await all_of.sessions.add_message(who, "room", "on and on"))
            except SessionClosed:
                return added
            if len(added) == 5:
                closing.set()

    writing = [asyncio.create_task(write(number)) for number in range(20)]
    await closing.wait()
    closed = await all_of.moderation.close_session(MAKER, "room")
    head = (await storing.read(all_of, MAKER, limit=1))["messages"][0]
    assert head["timestamp"] <= closed["closed_at"]
    added = [message.id for some in await asyncio.gather(*writing) for message in some]
    assert max(added) == head["id"]
    assert (await storing.view(all_of, MAKER))["message_count"] == len(added)


async def test_a_closed_session_stays_closed_after_a_restart(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    async with opened(tmp_path) as store:
        services = make_services(store, settings)
        await services.sessions.create_session(MAKER, "to talk", "room")
        closed = await services.moderation.close_session(MAKER, "room")
    async with opened(tmp_path) as store:
        services = make_services(store, settings)
        with pytest.raises(SessionClosed):
            await services.sessions.add_message(MAKER, "room", "a")
        assert await services.moderation.close_session(MAKER, "room") == closed


@pytest.mark.parametrize("who", MAY, ids=lambda who: who.agent_id)
async def test_what_is_given_is_changed_and_the_rest_stays(
    all_of: Services, who: Principal
) -> None:
    changed = await all_of.moderation.update_session(who, "room", "to decide")
    assert (changed["purpose"], changed["metadata"]) == ("to decide", {"a": 1})
    changed = await all_of.moderation.update_session(who, "room", metadata={"b": 2})
    assert (changed["purpose"], changed["metadata"]) == ("to decide", {"b": 2})
    changed = await all_of.moderation.update_session(who, "room", metadata={})
    assert changed["metadata"] == {}
    view = await storing.view(all_of, OTHER)
    assert {key: view[key] for key in changed} == changed
    await all_of.sessions.add_message(OTHER, "room", "goes on")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, InvalidInput),
        ({"purpose": " "}, InvalidInput),
        ({"purpose": 1}, InvalidInput),
        ({"purpose": "x" * 2_001}, TooLarge),
        ({"metadata": []}, InvalidInput),
        ({"metadata": {"a": "x" * 16_384}}, TooLarge),
        ({"messages_per_minute": -2}, InvalidInput),
        ({"messages_per_minute": True}, InvalidInput),
        ({"agent_messages": 1_000_001}, InvalidInput),
        ({"agent_messages": "5"}, InvalidInput),
        ({"purpose": "fine", "agent_messages": 1.5}, InvalidInput),
    ],
)
async def test_bad_changes_change_nothing(
    all_of: Services, changes: dict[str, Any], error: type[PartylineError]
) -> None:
    before = await storing.view(all_of, ADMIN)
    with pytest.raises(error):
        await all_of.moderation.update_session(ADMIN, "room", **changes)
    assert await storing.view(all_of, ADMIN) == before


async def test_where_nobody_is_verified_a_name_is_needed(tmp_path: Path) -> None:
    async with opened(tmp_path, auth="off") as store:
        services = make_services(store, load_settings(data_dir=tmp_path, auth="off"))
        await services.sessions.create_session(NOBODY, "p", "room")
        with pytest.raises(Forbidden, match="Without a name"):
            await services.moderation.close_session(NOBODY, "room")
        named = Principal("alice", "claude", WRITE)
        await services.sessions.create_session(named, "p", "hers")
        assert (await services.moderation.close_session(named, "hers"))["closed_at"]
