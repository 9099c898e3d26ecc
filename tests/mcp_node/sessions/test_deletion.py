"""Who may take a message back, on the real store; the rights come before the message."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mcp_node.services import Services, make_services
from proto.errors import (
    Forbidden,
    InvalidInput,
    MessageNotFound,
    PartylineError,
    RateLimited,
    SessionNotFound,
)
from proto.messages import Principal
from proto.settings import load_settings
from serving.http.identity import NOBODY
from tests.mcp_node import storing
from tests.mcp_node.making import opened

ALICE = Principal("alice", "claude", frozenset({"read", "write"}), token_id="a")
BOB = Principal("bob", "claude", frozenset({"read", "write"}))
ROOT = Principal("root", "ops", frozenset({"read", "write", "admin"}))
ONLY_ADMIN = Principal("root", "ops", frozenset({"read", "admin"}))
READER = Principal("alice", "claude", frozenset({"read"}))
ELSEWHERE = Principal("alice", "claude", frozenset({"read", "write"}), frozenset({"other"}))


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with opened(tmp_path) as store:
        made = make_services(store, load_settings(data_dir=tmp_path, writes_per_second=5))
        await made.sessions.create_session(ALICE, "to talk", "room")
        await made.sessions.add_message(ALICE, "room", "public")
        await made.sessions.add_message(ALICE, "room", "private", "private")
        yield made


@pytest.mark.parametrize("who", [ALICE, ROOT])
async def test_a_sender_and_an_admin_may(services: Services, who: Principal) -> None:
    for _ in range(2):
        assert await services.deletion.delete_message(who, "room", 1) == {
            "message_id": 1,
            "deleted": True,
        }


async def test_a_sub_agent_is_its_principal(services: Services) -> None:
    said = await services.sessions.add_message(ALICE, "room", "x", speaking_as="reviewer")
    assert said.sender == "alice/reviewer"
    await services.deletion.delete_message(ALICE, "room", said.id)


@pytest.mark.parametrize(
    ("who", "session", "message", "error"),
    [
        (BOB, "room", 1, Forbidden),
        (READER, "room", 1, Forbidden),
        (ONLY_ADMIN, "room", 1, Forbidden),
        (NOBODY, "room", 1, Forbidden),
        (BOB, "room", 2, MessageNotFound),
        (ROOT, "room", 2, MessageNotFound),
        (BOB, "room", 99, MessageNotFound),
        (ELSEWHERE, "room", 1, SessionNotFound),
        (ALICE, "nowhere", 1, SessionNotFound),
        (ALICE, "../room", 1, InvalidInput),
        (ALICE, "room", None, InvalidInput),
        (ALICE, "room", True, InvalidInput),
        (ALICE, "room", "1", InvalidInput),
        (ALICE, "room", 0, InvalidInput),
        (ALICE, "room", 2**53 + 1, InvalidInput),
    ],
)
async def test_others_and_what_is_not_there(
    services: Services, who: Principal, session: Any, message: Any, error: type[PartylineError]
) -> None:
    with pytest.raises(PartylineError) as refused:
        await services.deletion.delete_message(who, session, message)
    assert type(refused.value) is error
    page = await storing.read(services, ALICE, mark_read=False)
    assert [message["content"] for message in page["messages"]] == ["public", "private"]


async def test_a_deletion_counts_as_a_write(services: Services) -> None:
    with pytest.raises(RateLimited):
        for _ in range(50):
            await services.deletion.delete_message(ALICE, "room", 1)


async def test_unread_counts_go_down(services: Services) -> None:
    await storing.read(services, BOB)
    said = await services.sessions.add_message(ALICE, "room", "@bob look")
    assert await services.inbox.unread(BOB, "room") == 1
    await services.deletion.delete_message(ROOT, "room", said.id)
    assert await services.inbox.unread(BOB, "room") == 0
    waited = await services.waits.wait(BOB, "room", timeout_seconds=0)
    assert (waited["messages"], waited["outcome"]) == ([], "timeout")
    mentioned = await services.waits.wait(BOB, "room", timeout_seconds=0, wanted="calls")
    assert mentioned["messages"] == []
