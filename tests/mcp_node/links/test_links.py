"""Links on the real store: what is minted, how long it works, and what ends it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mcp_node.links.links import LOGIN_SECONDS, LOGIN_TOKEN_SECONDS, Links, Minted
from mcp_node.log.interface import Database
from mcp_node.services import make_services
from proto.errors import Forbidden, LinkNotFound, RateLimited, Unauthenticated
from proto.messages import Principal
from proto.names import is_name
from proto.revocations import Revocations
from proto.settings import load_settings
from serving.http.identity import NOBODY
from tests.mcp_node import storing
from tests.mcp_node.making import opened

START = 1_800_000_000.5
DAY = 86_400


class Clock:
    now = START

    def __call__(self) -> float:
        return self.now


def agent(name: str = "alice", **changes: Any) -> Principal:
    fields: dict[str, Any] = {
        "scopes": frozenset({"read", "write"}),
        "expires_at": int(START) + 365 * DAY,
        "token_id": f"token-of-{name}",
        "issued_at": int(START) - 100,
    }
    return Principal(name, "claude", **(fields | changes))


def guest_of(minted: Minted) -> Principal:
    name = f"guest:{minted.link.link_id}"
    return Principal(name, "guest", frozenset({"read"}), token_id="g", issued_at=int(START))


def code_of(minted: Minted) -> str:
    return minted.url.partition("#code=")[2]


@asynccontextmanager
async def linking(
    tmp_path: Path, clock: Clock, **settings: Any
) -> AsyncIterator[tuple[Links, Database]]:
    async with opened(tmp_path) as store:
        chosen = load_settings(data_dir=tmp_path, **settings)
        await make_services(store, chosen).sessions.create_session(agent(), "to talk", "room")
        yield Links(store, chosen, clock=clock), store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def links(tmp_path: Path, clock: Clock) -> AsyncIterator[Links]:
    async with linking(tmp_path, clock, max_links_per_principal=3) as (made, _):
        yield made


async def test_a_live_link_works_until_its_time(links: Links, clock: Clock) -> None:
    minted = await links.mint_live(agent(), "room", "2h")
    assert minted.link.expires_at == int(START) + 7_200
    first, second = await links.redeem(code_of(minted)), await links.redeem(code_of(minted))
    assert first.link.link_id == second.link.link_id == minted.link.link_id
    assert first.token_id != second.token_id
    assert (first.issued_at, first.expires_at) == (int(START), int(START) + 7_200)
    clock.now = minted.link.expires_at
    with pytest.raises(Unauthenticated):
        await links.redeem(code_of(minted))


async def test_a_login_link_works_once_and_for_ten_minutes(links: Links, clock: Clock) -> None:
    used, unused = await links.mint_login(), await links.mint_login()
    clock.now += LOGIN_SECONDS - 1
    redeemed = await links.redeem(code_of(used))
    assert redeemed.expires_at == int(clock.now) + LOGIN_TOKEN_SECONDS
    with pytest.raises(Unauthenticated):
        await links.redeem(code_of(used))
    clock.now += 1
    with pytest.raises(Unauthenticated):
        await links.redeem(code_of(unused))


async def test_of_many_at_once_one_redeems_a_login_link(links: Links) -> None:
    minted = await links.mint_login()
    tried = [links.redeem(code_of(minted)) for _ in range(10)]
    results = await asyncio.gather(*tried, return_exceptions=True)
    assert sum(not isinstance(one, Unauthenticated) for one in results) == 1


async def test_a_link_is_no_longer_than_its_minters_token(links: Links) -> None:
    short = agent(expires_at=int(START) + 90)
    assert (await links.mint_live(short, "room", "24h")).link.expires_at == int(START) + 90


@pytest.mark.parametrize("name", ["a", "a" * 55, "a" * 56, "a" * 64])
async def test_a_links_id_is_a_name_that_shows_its_minter(links: Links, name: str) -> None:
    minted = await links.mint_live(agent(name), "room")
    assert is_name(minted.link.link_id)
    assert minted.link.link_id[:-9] == name[:55]
    assert minted.link.minted_by == name


async def test_no_more_links_than_allowed_are_minted_at_once_or_one_by_one(
    links: Links, clock: Clock
) -> None:
    tried = [links.mint_live(agent(), "room", "1h") for _ in range(5)]
    results = await asyncio.gather(*tried, return_exceptions=True)
    assert [isinstance(one, RateLimited) for one in results] == [False] * 3 + [True] * 2
    with pytest.raises(RateLimited):
        await links.mint_live(agent(), "room")
    await links.mint_live(agent("bob"), "room")
    assert isinstance(results[0], Minted)
    await links.revoke(results[0].link.link_id)
    await links.mint_live(agent(), "room", "2h")
    clock.now += 3_600
    await links.mint_live(agent(), "room")


@pytest.mark.parametrize(
    "who",
    [
        NOBODY,
        agent(token_id="", expires_at=None),
        Principal("guest:alice-00000000", "guest", frozenset({"read", "write"}), token_id="t"),
    ],
    ids=["anonymous", "unverified", "guest"],
)
async def test_who_has_no_links_to_give(links: Links, who: Principal) -> None:
    with pytest.raises(Forbidden):
        await links.mint_live(who, "room")
    assert await links.newest() == []


async def test_revoking_ends_the_code_and_every_token(links: Links) -> None:
    minted, other = [await links.mint_live(agent(), "room") for _ in range(2)]
    known = Revocations(await links.revoke(minted.link.link_id))
    assert known.cover(guest_of(minted)) and not known.cover(guest_of(other))
    with pytest.raises(Unauthenticated):
        await links.redeem(code_of(minted))
    assert await links.revoke(minted.link.link_id) == [], "again does nothing"
    with pytest.raises(LinkNotFound):
        await links.revoke("alice-nothing")


async def test_revoking_a_login_link_takes_back_the_token_it_gave(links: Links) -> None:
    used, unused = await links.mint_login(), await links.mint_login()
    redeemed = await links.redeem(code_of(used))
    (revocation,) = await links.revoke(used.link.link_id)
    assert (revocation.token_id, revocation.agent_id) == (redeemed.token_id, None)
    assert await links.revoke(unused.link.link_id) == []
    with pytest.raises(Unauthenticated):
        await links.redeem(code_of(unused))


async def test_a_revoked_agent_leaves_no_links(tmp_path: Path, clock: Clock) -> None:
    async with linking(tmp_path, clock) as (links, store):
        minted = [await links.mint_live(agent(), "room") for _ in range(2)]
        others = await links.mint_live(agent("bob"), "room")
        until = int(clock.now)
        revoked = await storing.revoke(store, token_id=None, agent_id="alice", issued_until=until)
        known = Revocations(revoked)
        assert [known.cover(guest_of(one)) for one in [*minted, others]] == [True, True, False]
        assert await storing.revocations(store) == revoked
        with pytest.raises(Unauthenticated):
            await links.redeem(code_of(minted[0]))
        await links.redeem(code_of(others))
        with pytest.raises(Unauthenticated):  # a call that was under way with the revoked token
            await links.mint_live(agent(), "room")
        later = agent(token_id="new", issued_at=until + 1)
        await links.mint_live(later, "room")


async def test_a_revoked_token_leaves_no_links(tmp_path: Path, clock: Clock) -> None:
    async with linking(tmp_path, clock) as (links, store):
        with_it = await links.mint_live(agent(token_id="t1"), "room")
        with_another = await links.mint_live(agent(token_id="t2"), "room")
        await storing.revoke(store, token_id="t1", agent_id=None, issued_until=int(clock.now))
        with pytest.raises(Unauthenticated):
            await links.redeem(code_of(with_it))
        await links.redeem(code_of(with_another))
        with pytest.raises(Unauthenticated):
            await links.mint_live(agent(token_id="t1"), "room")


async def test_revoking_the_operators_tokens_ends_unused_login_links(
    tmp_path: Path, clock: Clock
) -> None:
    async with linking(tmp_path, clock) as (links, store):
        minted = await links.mint_login()
        await storing.revoke(store, token_id=None, agent_id="human", issued_until=int(clock.now))
        with pytest.raises(Unauthenticated):
            await links.redeem(code_of(minted))


async def test_links_that_ended_are_listed_for_a_week(links: Links, clock: Clock) -> None:
    old = await links.mint_live(agent(), "room", "1m")
    clock.now = old.link.expires_at + 7 * DAY
    second = await links.mint_login()
    assert {one.link_id for one in await links.newest()} == {
        old.link.link_id,
        second.link.link_id,
    }
    clock.now += 1
    third = await links.mint_login()
    assert {one.link_id for one in await links.newest()} == {
        second.link.link_id,
        third.link.link_id,
    }


async def test_a_link_leads_to_the_configured_page(tmp_path: Path, clock: Clock) -> None:
    async with linking(tmp_path, clock, page_url="https://rooms.example/p") as (links, _):
        minted = await links.mint_live(agent(), "room")
        assert minted.url.startswith("https://rooms.example/p/#code=")
        assert len(code_of(minted)) == 43
