"""Sessions: get-or-create, and a list in which what may not be seen leaves no trace."""

import asyncio
from pathlib import Path

import pytest

from mcp_node.log.interface import Database
from proto.errors import SessionNotFound
from proto.messages import Audience, Visibility
from tests.mcp_node import storing
from tests.mcp_node.making import ADMIN, CLAUDE, CODEX, NOBODY, new_message, new_session, opened


async def listed(store: Database, audience: Audience, **options) -> list[str]:
    options = {"within": None, "limit": 100, "active_since": None} | options
    return [s.session.session_id for s in await storing.list_sessions(store, audience, **options)]


async def test_of_many_who_create_one_session_one_makes_it(store: Database):
    answers = await asyncio.gather(
        *(storing.create_session(store, new_session("meet", f"purpose {n}")) for n in range(20))
    )
    assert [created for _, created in answers].count(True) == 1
    made = await storing.get_session(store, "meet")
    assert all(session == made for session, _ in answers)


async def test_a_session_survives_reopening(tmp_path: Path):
    async with opened(tmp_path) as store:
        made, created = await storing.create_session(store, new_session())
    async with opened(tmp_path) as store:
        assert created
        assert await storing.get_session(store, "room") == made
        assert await storing.create_session(store, new_session("room", "another")) == (made, False)


async def test_an_unknown_session_is_not_found(store: Database):
    with pytest.raises(SessionNotFound):
        await storing.get_session(store, "nowhere")


async def test_sessions_are_listed_by_latest_activity(store: Database):
    for name in ("b", "c"):
        await storing.create_session(store, new_session(name))
    assert await listed(store, CLAUDE) == ["c", "b", "room"]
    message = await storing.append(store, new_message("room"))
    assert await listed(store, CLAUDE) == ["room", "c", "b"]
    assert await listed(store, CLAUDE, limit=2) == ["room", "c"]
    (first, *_) = await storing.list_sessions(
        store, CLAUDE, within=None, limit=1, active_since=None
    )
    assert first.last_activity == message.timestamp
    assert first.session == await storing.get_session(store, "room")


@pytest.mark.parametrize(
    ("visibility", "moved_for"),
    [
        (Visibility.PUBLIC, {CLAUDE, CODEX, ADMIN, NOBODY}),
        (Visibility.PRIVATE, {CLAUDE}),
        (Visibility.AGENT_ONLY, {CLAUDE, ADMIN}),
        (Visibility.ADMIN_ONLY, {ADMIN}),
    ],
)
async def test_what_may_not_be_seen_moves_nothing(store: Database, visibility, moved_for):
    await storing.append(store, new_message("room"))
    await storing.create_session(store, new_session("later"))
    await storing.append(store, new_message("room", visibility=visibility))
    for reader in (CLAUDE, CODEX, ADMIN, NOBODY):
        expected = ["room", "later"] if reader in moved_for else ["later", "room"]
        assert await listed(store, reader) == expected


async def test_an_admin_sees_the_newest_of_many_agent_types(store: Database):
    await storing.create_session(store, new_session("later"))
    newest = None
    for number in (3, 1, 2):
        author = Audience(f"agent-{number}", f"type-{number}")
        newest = await storing.append(
            store, new_message(author=author, visibility=Visibility.AGENT_ONLY)
        )
    (first, _) = await storing.list_sessions(store, ADMIN, within=None, limit=2, active_since=None)
    assert newest is not None
    assert (first.session.session_id, first.last_activity) == ("room", newest.timestamp)


async def test_only_the_sessions_within_are_listed(store: Database):
    await storing.create_session(store, new_session("b"))
    assert await listed(store, CLAUDE, within=frozenset({"b", "unknown"})) == ["b"]
    assert await listed(store, CLAUDE, within=frozenset()) == []


async def test_active_since_takes_in_its_own_instant(store: Database):
    (session,) = await storing.list_sessions(store, CLAUDE, within=None, limit=9, active_since=None)
    assert await listed(store, CLAUDE, active_since=session.last_activity) == ["room"]
    assert await listed(store, CLAUDE, active_since="9999-01-01T00:00:00.000000Z") == []
