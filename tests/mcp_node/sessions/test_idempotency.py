"""A retry under the same key adds nothing, whoever else uses that key."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from mcp_node.log.interface import Database
from mcp_node.sessions.new import NewMessage
from proto.errors import KeyReused
from proto.messages import Audience, Message, Visibility
from tests.mcp_node import storing
from tests.mcp_node.making import new_session, opened

ALICE = Audience("alice", "claude")
BOB = Audience("bob", "claude")


def keyed(
    content: str = "once", key: str = "k", author: Audience = ALICE, session: str = "room"
) -> NewMessage:
    return NewMessage(
        session_id=session,
        author=author,
        sender=author.agent_id,
        content=content,
        visibility=Visibility.PUBLIC,
        metadata=msgspec.Raw(b"{}"),
        idempotency_key=key,
    )


async def test_a_retry_gets_the_first_answer_and_is_announced_once(store: Database) -> None:
    announced: list[Message] = []
    store.on_commit(announced.extend)
    first = await storing.append(store, keyed())
    again = await storing.append(store, keyed())
    assert again == first
    assert announced == [first]
    assert await storing.session_head(store, "room") == first.id


async def test_retries_at_once_add_one_message(store: Database) -> None:
    answers = await asyncio.gather(*(storing.append(store, keyed()) for _ in range(50)))
    assert len({answer.id for answer in answers}) == 1
    assert await storing.session_head(store, "room") == answers[0].id


async def test_another_message_under_the_key_is_refused(store: Database) -> None:
    first = await storing.append(store, keyed())
    changes = (
        keyed(content="twice"),
        msgspec.structs.replace(keyed(), visibility=Visibility.PRIVATE),
        msgspec.structs.replace(keyed(), metadata=msgspec.Raw(b'{"a":1}')),
        msgspec.structs.replace(keyed(), parent_message_id=first.id),
    )
    for other in changes:
        with pytest.raises(KeyReused):
            await storing.append(store, other)
    assert await storing.session_head(store, "room") == first.id


async def test_a_key_is_its_principals_and_its_sessions_own(store: Database) -> None:
    await storing.create_session(store, new_session("elsewhere"))
    ids = [
        (await storing.append(store, message)).id
        for message in (keyed(), keyed(author=BOB), keyed(session="elsewhere"), keyed(key="other"))
    ]
    assert ids == [1, 2, 3, 4]


async def test_a_key_survives_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        first = await storing.append(store, keyed())
    async with opened(tmp_path) as store:
        assert (await storing.append(store, keyed())).id == first.id
