"""The guard against loops in rooms: its limits, who sets them, and what it gives away: nothing."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mcp_node.services import Services, make_services
from proto.errors import Forbidden, KeyReused, LoopGuard, ParentNotFound
from proto.messages import Principal
from proto.settings import load_settings
from tests.mcp_node import storing
from tests.mcp_node.making import opened

WRITE = frozenset({"read", "write"})
ALICE = Principal("alice", "claude", WRITE, token_id="t1")
BOB = Principal("bob", "codex", WRITE, token_id="t2")
ADMIN = Principal("root", "ops", WRITE | {"admin"}, token_id="t3")
HUMAN = Principal("human", "human", WRITE, token_id="t4")
GUEST = Principal("guest:alice-0123abcd", "guest", WRITE, token_id="t5")

Opening = Callable[..., AbstractAsyncContextManager[Services]]


@pytest.fixture
def opening(tmp_path: Path) -> Opening:
    @asynccontextmanager
    async def started(**settings: Any) -> AsyncIterator[Services]:
        async with opened(tmp_path, **settings) as store:
            made = make_services(store, load_settings(data_dir=tmp_path, **settings))
            await made.sessions.create_session(ALICE, "to talk", "room")
            yield made

    return started


async def stopped(services: Services, who: Principal, level: str = "public") -> bool:
    try:
        await services.sessions.add_message(who, "room", "on and on", level)
    except LoopGuard:
        return True
    return False


async def test_by_default_nobody_is_near_a_limit(opening: Opening) -> None:
    async with opening() as services:
        view = await storing.view(services, ALICE)
        assert view["limits"] == {"messages_per_minute": 6_000, "agent_messages": 0}


async def test_a_principal_is_stopped_in_that_session_alone(opening: Opening) -> None:
    async with opening(messages_per_minute=3) as services:
        assert [await stopped(services, ALICE) for _ in range(4)] == [False] * 3 + [True]
        assert not await stopped(services, BOB)
        await services.sessions.create_session(ALICE, "p", "elsewhere")
        await services.sessions.add_message(ALICE, "elsewhere", "a")
        assert (await storing.view(services, ALICE))["message_count"] == 4


async def test_what_is_not_added_is_not_counted(opening: Opening) -> None:
    async with opening(messages_per_minute=2, agent_messages_without_human=2) as services:
        first = await services.sessions.add_message(ALICE, "room", "a", idempotency_key="k")
        for _ in range(3):
            with pytest.raises(ParentNotFound):
                await services.sessions.add_message(ALICE, "room", "a", parent_message_id=99)
            with pytest.raises(KeyReused):
                await services.sessions.add_message(ALICE, "room", "b", idempotency_key="k")
        assert not await stopped(services, ALICE)
        assert await stopped(services, ALICE)
        again = await services.sessions.add_message(ALICE, "room", "a", idempotency_key="k")
        assert again == first


async def test_a_persons_word_and_no_other_lifts_the_ceiling(opening: Opening) -> None:
    async with opening(agent_messages_without_human=3) as services:
        for who in (ALICE, BOB, GUEST):
            assert not await stopped(services, who)
        for who in (ALICE, BOB, GUEST, ADMIN):
            assert await stopped(services, who)
        for level in ("private", "agent_only"):
            assert not await stopped(services, HUMAN, level)
            assert await stopped(services, ALICE)
        assert not await stopped(services, HUMAN)
        assert [await stopped(services, ALICE) for _ in range(4)] == [False] * 3 + [True]


@pytest.mark.parametrize("level", ["private", "agent_only", "admin_only"])
async def test_what_others_may_not_see_stops_them_no_sooner(opening: Opening, level: str) -> None:
    """SECURITY 11: bob is stopped after his third message, whatever goes on behind his back."""
    async with opening(agent_messages_without_human=3) as services:
        hidden = 0
        author = ADMIN if level == "admin_only" else ALICE
        while not await stopped(services, author, level):
            hidden += 1
        assert hidden == 3
        assert [await stopped(services, BOB) for _ in range(4)] == [False] * 3 + [True]


async def test_a_restart_and_another_session_in_its_place_forget_nothing(opening: Opening) -> None:
    for _ in range(2):
        async with opening(agent_messages_without_human=2) as services:
            assert not await stopped(services, ALICE)
    async with opening(agent_messages_without_human=2) as services:
        assert await stopped(services, BOB)
        assert not await stopped(services, HUMAN)
    async with opening(agent_messages_without_human=2) as services:
        assert not await stopped(services, BOB)


@pytest.mark.parametrize("who", [ADMIN, HUMAN], ids=["admin", "human"])
async def test_admins_and_people_set_a_sessions_own_limits(
    opening: Opening, who: Principal
) -> None:
    async with opening(messages_per_minute=2, agent_messages_without_human=2) as services:
        assert [await stopped(services, ALICE) for _ in range(3)] == [False, False, True]
        update = services.moderation.update_session
        changed = await update(who, "room", messages_per_minute=0, agent_messages=5)
        assert changed["limits"] == {"messages_per_minute": 0, "agent_messages": 5}
        assert [await stopped(services, ALICE) for _ in range(4)] == [False] * 3 + [True]
        await update(who, "room", agent_messages=0)
        assert not await stopped(services, ALICE)
        changed = await update(who, "room", messages_per_minute=-1, agent_messages=-1)
        assert changed["limits"] == {"messages_per_minute": 2, "agent_messages": 2}
        assert await stopped(services, BOB)
    async with opening() as services:
        changed = await services.moderation.update_session(who, "room", agent_messages=7)
    async with opening() as services:
        assert (await storing.view(services, BOB))["limits"] == changed["limits"]


@pytest.mark.parametrize("who", [ALICE, BOB, GUEST], ids=["maker", "other", "guest"])
async def test_nobody_lifts_what_holds_it(opening: Opening, who: Principal) -> None:
    async with opening(messages_per_minute=1, agent_messages_without_human=1) as services:
        assert not await stopped(services, who)
        for limits in ({"messages_per_minute": 9}, {"agent_messages": -1}, {"agent_messages": 0}):
            with pytest.raises(Forbidden):
                await services.moderation.update_session(who, "room", **limits)
        assert await stopped(services, who)


async def test_changing_the_purpose_begins_no_new_minute(opening: Opening) -> None:
    async with opening(messages_per_minute=1) as services:
        assert not await stopped(services, ALICE)
        await services.moderation.update_session(ALICE, "room", "another purpose")
        assert await stopped(services, ALICE)
