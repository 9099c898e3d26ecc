"""Subscriptions: what a commit marks for whom, how little it holds, and how they end."""

import asyncio
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from mcp_node.inbox.subscriptions import Subscriptions
from mcp_node.log.interface import Database
from proto.errors import (
    Forbidden,
    InvalidInput,
    Overloaded,
    PartylineError,
    RateLimited,
    SessionNotFound,
    Unavailable,
)
from proto.messages import ANONYMOUS, Audience, Principal, Visibility
from proto.settings import Settings
from tests.mcp_node import storing
from tests.mcp_node.making import CLAUDE, new_message, new_session, opened

READS = frozenset({"read"})
ALICE = Principal("alice", "claude", READS, token_id="a")
BOB = Principal("bob", "codex", READS, token_id="b")
NOBODY = Principal(ANONYMOUS, ANONYMOUS, READS)
ROOM, MESSAGES = "session://room", "session://room/messages"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(tmp_path) as store:
        for session_id in ("room", "other"):
            await storing.create_session(store, new_session(session_id))
        yield store


def made(store: Database, **limits: int) -> Subscriptions:
    return Subscriptions(store, Settings(**limits))


@pytest.fixture
def subscriptions(store: Database) -> Subscriptions:
    return made(store)


async def test_any_number_of_commits_is_one_change(
    store: Database, subscriptions: Subscriptions
) -> None:
    subscription = await subscriptions.subscribe(ALICE, [ROOM, MESSAGES, "session://other"])
    for n in range(50):
        await storing.append(store, new_message("room", f"{n}"))
    await storing.append(store, new_message("other"))
    await storing.append(store, new_message("room"))
    assert await subscription.changed() == [ROOM, MESSAGES, "session://other"]
    await storing.append(store, new_message("other"))
    assert await subscription.changed() == ["session://other"]


async def test_a_subscriber_that_never_reads_holds_nothing_more(
    store: Database, subscriptions: Subscriptions
) -> None:
    subscription = await subscriptions.subscribe(ALICE, [ROOM])
    await storing.append(store, new_message("room"))
    before = sys.getsizeof(subscription._changed)
    for _ in range(200):
        await storing.append(store, new_message("room"))
    assert sys.getsizeof(subscription._changed) == before


async def test_nothing_is_marked_of_what_may_not_be_seen(
    store: Database, subscriptions: Subscriptions
) -> None:
    for level in (Visibility.PRIVATE, Visibility.AGENT_ONLY, Visibility.ADMIN_ONLY):
        watching = await subscriptions.subscribe(BOB, [ROOM])
        nobody = await subscriptions.subscribe(NOBODY, [ROOM])
        await storing.append(store, new_message("room", author=CLAUDE, visibility=level))
        assert not watching.marked("room") and not nobody.marked("room")


async def test_one_visible_message_of_a_commit_is_enough(
    store: Database, subscriptions: Subscriptions
) -> None:
    watching = await subscriptions.subscribe(BOB, [ROOM])
    hidden = [new_message("room", visibility=Visibility.PRIVATE) for _ in range(20)]
    await asyncio.gather(
        *map(partial(storing.append, store), [*hidden, new_message("room"), *hidden])
    )
    assert await watching.changed() == [ROOM]


async def test_waiting_is_woken_by_the_commit_and_may_be_cancelled(
    store: Database, subscriptions: Subscriptions
) -> None:
    subscription = await subscriptions.subscribe(ALICE, [ROOM])
    given_up = asyncio.create_task(subscription.changed())
    await asyncio.sleep(0)
    given_up.cancel()
    waiting = asyncio.create_task(subscription.changed())
    await asyncio.sleep(0)
    assert not waiting.done()
    await storing.append(store, new_message("room"))
    assert await waiting == [ROOM]


async def test_what_is_removed_is_forgotten_entirely(
    store: Database, subscriptions: Subscriptions
) -> None:
    kept = await subscriptions.subscribe(BOB, [ROOM])
    removed = await subscriptions.subscribe(ALICE, [ROOM, MESSAGES])
    assert len(subscriptions) == 3
    for _ in range(2):
        subscriptions.remove(removed)
    assert len(subscriptions) == 1
    await storing.append(store, new_message("room"))
    assert await removed.changed() == []
    assert await kept.changed() == [ROOM]
    subscriptions.remove(kept)
    assert len(subscriptions) == 0
    assert not subscriptions._watching and not len(subscriptions) and not subscriptions._all


@pytest.mark.parametrize(
    ("principal", "uri", "error"),
    [
        (ALICE, "session://nowhere", SessionNotFound),
        (Principal("a", "b", READS, frozenset({"other"})), ROOM, SessionNotFound),
        (Principal("a", "b", READS, frozenset({"nowhere"})), "session://nowhere", SessionNotFound),
        (Principal("a", "b", READS, frozenset()), ROOM, SessionNotFound),
        (Principal("a", "b", frozenset({"write"})), ROOM, Forbidden),
        (ALICE, "session://-a", InvalidInput),
        (ALICE, "session://room/messages/1", InvalidInput),
        (ALICE, " session://room", InvalidInput),
    ],
    ids=["none", "foreign", "covered-none", "no-sessions", "no-read", "name", "path", "space"],
)
async def test_a_subscription_that_is_refused_leaves_nothing(
    subscriptions: Subscriptions, principal: Principal, uri: str, error: type[PartylineError]
) -> None:
    with pytest.raises(error):
        await subscriptions.subscribe(principal, ["session://other", uri])
    assert len(subscriptions) == 0


async def test_limits_hold_for_those_who_come_at_once(store: Database) -> None:
    subscriptions = made(
        store, max_resource_subscriptions_per_principal=3, max_resource_subscriptions=5
    )
    asked = [subscriptions.subscribe(ALICE, [ROOM, MESSAGES]) for _ in range(4)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one).__name__ for one in answers] == ["Subscription", *["RateLimited"] * 3]
    await subscriptions.subscribe(ALICE, [])
    with pytest.raises(RateLimited, match="Unsubscribe"):
        await subscriptions.subscribe(ALICE, [])
    await subscriptions.subscribe(BOB, [ROOM, MESSAGES])
    with pytest.raises(Overloaded):
        await subscriptions.subscribe(NOBODY, [ROOM])
    assert len(subscriptions) == 5


async def test_more_than_the_limit_in_one_request_is_refused_before_the_log_is_asked(
    store: Database,
) -> None:
    subscriptions = made(store, max_resource_subscriptions_per_principal=3)
    with pytest.raises(RateLimited):
        await subscriptions.subscribe(ALICE, ["session://nowhere"] * 4)


async def test_a_sweep_ends_those_whose_token_has_died(
    store: Database, subscriptions: Subscriptions
) -> None:
    dead = await subscriptions.subscribe(ALICE, [ROOM])
    alive = await subscriptions.subscribe(BOB, [ROOM])
    waiting = asyncio.create_task(dead.changed())
    subscriptions.sweep(lambda principal: principal is BOB)
    assert await waiting == []
    await storing.append(store, new_message("room"))
    assert await alive.changed() == [ROOM]
    assert len(subscriptions) == 1


async def test_at_the_end_what_is_marked_is_told_and_nobody_new_is_taken(
    store: Database, subscriptions: Subscriptions
) -> None:
    behind = await subscriptions.subscribe(ALICE, [ROOM])
    waiting = asyncio.create_task((await subscriptions.subscribe(BOB, [ROOM])).changed())
    await asyncio.sleep(0)
    await storing.append(
        store,
        new_message("room", author=Audience("alice", "claude"), visibility=Visibility.PRIVATE),
    )
    subscriptions.close()
    assert await waiting == []
    assert [await behind.changed(), await behind.changed()] == [[ROOM], []]
    with pytest.raises(Unavailable):
        await subscriptions.subscribe(ALICE, [ROOM])
    assert len(subscriptions) == 0
