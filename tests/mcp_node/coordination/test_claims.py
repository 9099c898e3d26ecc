"""Claims on the real store: overlap, renewal, ends, limits, and two at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mcp_node.coordination.claims import Claims
from mcp_node.log.interface import Database
from mcp_node.services import make_services
from mcp_node.sessions.authorization import Rights
from proto.errors import (
    Claimed,
    Forbidden,
    InvalidInput,
    PartylineError,
    RateLimited,
    SessionClosed,
    SessionNotFound,
    TooLarge,
)
from proto.messages import Principal, utc
from proto.settings import load_settings
from serving.http.identity import NOBODY
from tests.mcp_node import storing
from tests.mcp_node.making import new_session, opened

BOTH = frozenset({"read", "write"})
ALICE = Principal("alice", "claude", BOTH, token_id="t1", issued_at=100)
BOB = Principal("bob", "codex", BOTH, token_id="t2", issued_at=100)
ROOT = Principal("root", "ops", BOTH | {"admin"}, token_id="t3", issued_at=100)
GUEST = Principal("guest:alice-0123abcd", "guest", BOTH, token_id="t4", issued_at=100)
HUMAN = Principal("human", "human", BOTH | {"admin"}, token_id="t5", issued_at=100)
READER = Principal("carol", "claude", frozenset({"read"}), token_id="t6")
ELSEWHERE = Principal("dave", "claude", BOTH, frozenset({"other"}), token_id="t7")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Made(NamedTuple):
    claims: Claims
    clock: Clock
    store: Database
    seen: list[str]


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Made]:
    async with opened(tmp_path) as store:
        for name in ("room", "other", "third"):
            await storing.create_session(store, new_session(name))
        clock, seen = Clock(), list[str]()
        settings = load_settings(data_dir=tmp_path, writes_per_second=0)
        claims = Claims(
            store, Rights(settings), lambda who, _: seen.append(who.agent_id), clock=clock
        )
        yield Made(claims, clock, store, seen)


async def held(made: Made, session: str = "room") -> list[tuple[str, list[str]]]:
    return [(one["holder"], one["names"]) for one in await made.claims.of(session)]


async def test_what_is_claimed_is_shown_with_who_until_when_and_what_for(made: Made) -> None:
    claimed = await made.claims.claim(ALICE, "room", ["src/auth/", "deploy", "deploy"], 5, "login")
    until = utc(made.clock.now + 300)
    assert claimed == {
        "names": ["src/auth/**", "deploy"],
        "holder": "alice",
        "until": until,
        "note": "login",
    }
    assert await made.claims.of("room") == [{**claimed, "names": ["deploy", "src/auth/**"]}]
    assert await made.claims.of("other") == []
    assert made.seen == ["alice"]
    (listed,) = (await made.claims.list(BOB, "room"))["claims"]
    assert listed["mine"] is False
    assert (await made.claims.list(ALICE, "room"))["claims"][0]["mine"] is True


async def test_an_overlap_names_who_has_what_and_claims_nothing(made: Made) -> None:
    mine = await made.claims.claim(ALICE, "room", ["src/auth/**"], 5, "sneaky\u200b")
    with pytest.raises(Claimed) as refused:
        await made.claims.claim(BOB, "room", ["deploy", "src/*/login.py"])
    assert refused.value.details == {"claims": [{**mine, "hidden_characters": 1}]} or (
        refused.value.details == {"claims": [mine]} and mine["hidden_characters"] == 1
    )
    assert await held(made) == [("alice", ["src/auth/**"])]
    await made.claims.claim(BOB, "other", ["src/*/login.py"])  # another session


async def test_claiming_again_renews_and_what_overlaps_ones_own_is_free(made: Made) -> None:
    await made.claims.claim(ALICE, "room", ["src/**", "deploy"], 5, "a")
    made.clock.now += 200
    await made.claims.claim(ALICE, "room", ["src/**", "src/a.py"], 5)
    made.clock.now += 200
    assert await held(made) == [("alice", ["src/**", "src/a.py"])]
    await made.claims.claim(BOB, "room", ["deploy"])
    made.clock.now += 101
    assert await held(made) == [("bob", ["deploy"])]


async def test_release(made: Made) -> None:
    await made.claims.claim(ALICE, "room", ["a", "b", "c"])
    await made.claims.claim(BOB, "room", ["d"])
    assert await made.claims.release(ALICE, "room", ["a", "d", "x"]) == {"released": ["a"]}
    assert await made.claims.release(ALICE, "room", ["a"]) == {"released": []}
    assert await made.claims.release(ALICE, "room") == {"released": ["b", "c"]}
    assert await held(made) == [("bob", ["d"])]


@pytest.mark.parametrize("who", [ROOT, GUEST, HUMAN])
async def test_admins_and_people_release_what_others_have_if_they_name_it(
    made: Made, who: Principal
) -> None:
    await made.claims.claim(ALICE, "room", ["a", "b"])
    assert await made.claims.release(who, "room") == {"released": []}
    assert await made.claims.release(who, "room", ["a"]) == {"released": ["a"]}
    assert await held(made) == [("alice", ["b"])]


@pytest.mark.parametrize("which", [{"token_id": "t1"}, {"agent_id": "alice"}])
async def test_a_revocation_ends_claims(made: Made, which: dict[str, str]) -> None:
    await made.claims.claim(ALICE, "room", ["a"])
    await made.claims.claim(BOB, "room", ["b"])
    revoked = {"token_id": None, "agent_id": None, **which}
    await storing.revoke(made.store, **revoked, issued_until=150)
    assert await held(made) == [("bob", ["b"])]
    await made.claims.claim(BOB, "room", ["a"])
    await made.claims.release(BOB, "room", ["a"])
    anew = Principal("alice", "claude", BOTH, token_id="t9", issued_at=200)
    await made.claims.claim(anew, "room", ["a"])
    assert ("alice", ["a"]) in await held(made)


async def test_of_two_at_once_one_has_it(made: Made) -> None:
    async def attempt(n: int) -> bool:
        who = Principal(f"agent-{n}", "claude", BOTH, token_id=f"x{n}")
        try:
            await made.claims.claim(who, "room", ["src/**" if n % 2 else "src/a.py", f"w{n}"])
        except Claimed:
            return False
        return True

    assert sum(await asyncio.gather(*(attempt(n) for n in range(8)))) == 1
    ((_, names),) = await held(made)
    assert len(names) == 2


async def test_limits_of_a_principal_and_of_a_session(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_node.coordination.claim_rows.MOST_OF_PRINCIPAL", 6)
    monkeypatch.setattr("mcp_node.coordination.claim_rows.MOST_IN_SESSION", 5)
    await made.claims.claim(ALICE, "room", ["a", "b", "c"])
    await made.claims.claim(ALICE, "other", ["a", "b", "c"])
    with pytest.raises(RateLimited, match="You would"):
        await made.claims.claim(ALICE, "third", ["a"])
    await made.claims.claim(ALICE, "room", ["a", "b", "c"])
    with pytest.raises(RateLimited, match="This session"):
        await made.claims.claim(BOB, "room", ["d", "e", "f"])
    await made.claims.claim(BOB, "room", ["d", "e"])
    made.clock.now += 3600
    await made.claims.claim(BOB, "room", ["f", "g", "h"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"names": []},
        {"names": "deploy"},
        {"names": None},
        {"names": [1]},
        {"names": [""]},
        {"names": [" a"]},
        {"names": ["a\u200bb"]},
        {"names": ["a" * 129]},
        {"names": ["../a"]},
        {"names": [f"a{n}" for n in range(21)]},
        {"minutes": 0},
        {"minutes": 1441},
        {"minutes": True},
        {"minutes": float("nan")},
        {"minutes": "5"},
        {"note": None},
        {"note": "\x00"},
        {"note": "\ud800"},
        {"note": "a" * 501},
    ],
)
async def test_bad_arguments_are_refused(made: Made, arguments: dict[str, Any]) -> None:
    with pytest.raises((InvalidInput, TooLarge)):
        await made.claims.claim(ALICE, "room", **{"names": ["a"], **arguments})
    assert await held(made) == []


@pytest.mark.parametrize(
    ("who", "session", "error"),
    [
        (READER, "room", Forbidden),
        (NOBODY, "room", Forbidden),
        (ELSEWHERE, "room", SessionNotFound),
        (ALICE, "nowhere", SessionNotFound),
    ],
)
async def test_who_may_not(
    made: Made, who: Principal, session: str, error: type[PartylineError]
) -> None:
    await made.claims.claim(ALICE, "room", ["a"])
    with pytest.raises(error):
        await made.claims.claim(who, session, ["a"])
    with pytest.raises(error):
        await made.claims.release(who, session, ["a"])
    assert await held(made) == [("alice", ["a"])]


async def test_nobody_lists_what_it_may_not_enter(made: Made) -> None:
    for who, session in ((ELSEWHERE, "room"), (ALICE, "nowhere")):
        with pytest.raises(SessionNotFound):
            await made.claims.list(who, session)


async def test_a_closed_session(made: Made, tmp_path: Path) -> None:
    able = make_services(made.store, load_settings(data_dir=tmp_path))
    await made.claims.claim(BOB, "room", ["a"])
    await able.moderation.close_session(ROOT, "room")
    with pytest.raises(SessionClosed):
        await made.claims.claim(BOB, "room", ["a"])
    assert await made.claims.release(BOB, "room") == {"released": ["a"]}


async def test_get_session_shows_claims_if_there_are_any(made: Made, tmp_path: Path) -> None:
    able = make_services(made.store, load_settings(data_dir=tmp_path))
    assert "claims" not in await storing.view(able, BOB)
    claimed = await able.claims.claim(ALICE, "room", ["a"])
    assert (await storing.view(able, BOB))["claims"] == [claimed]
