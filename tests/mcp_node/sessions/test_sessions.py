"""Sessions: who may do what, on the real store; what may not be seen does not exist."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mcp_node.services import Services, make_services
from mcp_node.sessions.sessions import Sessions
from proto.errors import (
    Forbidden,
    InvalidInput,
    ParentNotFound,
    PartylineError,
    SessionNotFound,
    TooLarge,
)
from proto.messages import Principal
from proto.settings import load_settings
from serving.http.identity import NOBODY
from tests.mcp_node import storing
from tests.mcp_node.making import opened

ALICE = Principal("alice", "claude", frozenset({"read", "write"}))
BOB = Principal("bob", "claude", frozenset({"read", "write"}))
EVE = Principal("eve", "codex", frozenset({"read", "write"}))
ROOT = Principal("root", "ops", frozenset({"read", "write", "admin"}))
READER = Principal("reader", "claude", frozenset({"read"}))
WRITER = Principal("writer", "claude", frozenset({"write"}))
ELSEWHERE = Principal("alice", "claude", frozenset({"read", "write"}), frozenset({"other"}))
NOWHERE = Principal("alice", "claude", frozenset({"read", "write"}), frozenset())


@pytest.fixture
async def able(tmp_path: Path) -> AsyncIterator[Services]:
    async with opened(tmp_path) as store:
        made = make_services(store, load_settings(data_dir=tmp_path))
        await made.sessions.create_session(ALICE, "to talk", "room")
        yield made


@pytest.fixture
def sessions(able: Services) -> Sessions:
    return able.sessions


async def read(able: Services, who: Principal, name: str = "room", **part: Any) -> dict[str, Any]:
    return await storing.read(able, who, name, mark_read=False, **part)


async def said(able: Services, who: Principal) -> list[str]:
    return [message["content"] for message in (await read(able, who))["messages"]]


async def test_a_message_is_its_authors(able: Services, sessions: Sessions) -> None:
    message = await sessions.add_message(ALICE, "room", "hello", metadata={"a": 1})
    page = await read(able, BOB)
    assert page == {
        "messages": [
            {
                "id": message.id,
                "sender": "alice",
                "sender_type": "claude",
                "content": "hello",
                "visibility": "public",
                "timestamp": message.timestamp,
                "metadata": {"a": 1},
                "parent_message_id": None,
            }
        ],
        "has_more": False,
    }


async def test_each_principal_sees_what_it_may(able: Services, sessions: Sessions) -> None:
    for level in ("public", "private", "agent_only"):
        await sessions.add_message(ALICE, "room", level, level)
    await sessions.add_message(ROOT, "room", "admin_only", "admin_only")
    assert await said(able, ALICE) == ["public", "private", "agent_only"]
    assert await said(able, BOB) == ["public", "agent_only"]
    assert await said(able, EVE) == await said(able, NOBODY) == ["public"]
    assert await said(able, ROOT) == ["public", "agent_only", "admin_only"]
    seen = await storing.view(able, EVE)
    assert [message["content"] for message in seen["messages"]] == ["public"]


async def test_a_session_is_made_once(sessions: Sessions) -> None:
    again = await sessions.create_session(BOB, "another purpose", "room")
    assert (again["created"], again["purpose"], again["created_by"]) == (False, "to talk", "alice")
    made = await sessions.create_session(BOB, "a new one")
    assert made["created"] and made["session_id"].startswith("session_")


async def test_other_sessions_do_not_exist(able: Services, sessions: Sessions) -> None:
    for who in (ELSEWHERE, NOWHERE):
        for name in ("room", "unknown"):
            for call in (
                storing.view(able, who, name),
                read(able, who, name),
                sessions.add_message(who, name, "a"),
            ):
                with pytest.raises(SessionNotFound):
                    await call
            with pytest.raises(Forbidden):
                await sessions.create_session(who, "a", name)
        assert await sessions.list_sessions(who) == []
    with pytest.raises(Forbidden):
        await sessions.create_session(ELSEWHERE, "an id of the server's choice")
    assert (await sessions.create_session(ELSEWHERE, "a", "other"))["created"]
    assert [one["session_id"] for one in await sessions.list_sessions(ELSEWHERE)] == ["other"]


async def test_a_token_without_the_scope_is_refused(able: Services, sessions: Sessions) -> None:
    for call in (
        sessions.add_message(READER, "room", "a"),
        sessions.create_session(READER, "a"),
        read(able, WRITER),
        storing.view(able, WRITER),
        sessions.list_sessions(WRITER),
        sessions.add_message(ALICE, "room", "a", "admin_only"),
        sessions.add_message(NOBODY, "room", "a", "private"),
        sessions.add_message(NOBODY, "room", "a", "agent_only"),
    ):
        with pytest.raises(Forbidden):
            await call
    await sessions.add_message(WRITER, "room", "written")
    assert await said(able, READER) == ["written"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"content": ""}, InvalidInput),
        ({"content": "x" * 100_001}, TooLarge),
        ({"visibility": "secret"}, InvalidInput),
        ({"metadata": []}, InvalidInput),
        ({"metadata": {"a": "x" * 16_384}}, TooLarge),
        ({"parent_message_id": 0}, InvalidInput),
        ({"parent_message_id": 2**53 + 1}, InvalidInput),
        ({"parent_message_id": 999}, ParentNotFound),
        ({"session_id": "a b"}, InvalidInput),
        ({"session_id": None}, InvalidInput),
        ({"session_id": "unknown"}, SessionNotFound),
    ],
)
async def test_a_refused_message_leaves_nothing(
    sessions: Sessions, changes: dict[str, Any], error: type[PartylineError]
) -> None:
    with pytest.raises(error):
        await sessions.add_message(ALICE, **{"session_id": "room", "content": "a"} | changes)
    message = await sessions.add_message(ALICE, "room", "the first")
    assert (message.id, message.prev) == (1, 0)


async def test_a_parent_must_be_seen_by_its_child_author(sessions: Sessions) -> None:
    hidden = await sessions.add_message(ALICE, "room", "mine", "private")
    await sessions.create_session(ALICE, "b", "other")
    far = await sessions.add_message(ALICE, "other", "far away")
    with pytest.raises(ParentNotFound):
        await sessions.add_message(BOB, "room", "a", parent_message_id=hidden.id)
    with pytest.raises(ParentNotFound):
        await sessions.add_message(ALICE, "room", "a", parent_message_id=far.id)
    reply = await sessions.add_message(ALICE, "room", "a", "private", parent_message_id=hidden.id)
    assert reply.parent_message_id == hidden.id


@pytest.mark.parametrize("level", ["public", "agent_only"])
async def test_a_reply_is_seen_by_no_more_than_its_parent(
    able: Services, sessions: Sessions, level: str
) -> None:
    """Else its parent's id would show others that there is something they may not see."""
    hidden = await sessions.add_message(ALICE, "room", "mine", "private")
    with pytest.raises(InvalidInput) as refused:
        await sessions.add_message(ALICE, "room", "a", level, parent_message_id=hidden.id)
    assert "parent_message_id" in refused.value.hint
    assert (await read(able, BOB))["messages"] == []


async def test_what_is_hidden_moves_no_activity_and_no_has_more(
    able: Services, sessions: Sessions
) -> None:
    await sessions.add_message(ALICE, "room", "seen")
    before = await sessions.list_sessions(EVE)
    for _ in range(3):
        await sessions.add_message(ALICE, "room", "hidden", "private")
    assert await sessions.list_sessions(EVE) == before
    assert (await read(able, EVE, limit=1))["has_more"] is False
    assert (await read(able, EVE, after=1, limit=1)) == {
        "messages": [],
        "has_more": False,
    }
