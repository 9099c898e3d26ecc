"""Appending: the place in the log, the chain, parents, and what a reader gets back."""

import asyncio
import re
from collections import defaultdict

import pytest

from mcp_node.log.interface import Database
from proto.errors import ParentNotFound, SessionNotFound
from proto.messages import MAX_ID, Visibility
from tests.mcp_node import storing
from tests.mcp_node.making import (
    ADMIN,
    CLAUDE,
    CODEX,
    NOBODY,
    everything,
    new_message,
    new_session,
)


async def test_a_message_comes_back_as_it_was_written(store: Database):
    parent = await storing.append(store, new_message())
    written = await storing.append(
        store,
        new_message(
            content="grüß dich \N{PARTY POPPER}\n'quoted' \x01 \u2028",
            sender="claude-main/reviewer",
            visibility=Visibility.AGENT_ONLY,
            metadata={"a": [1, {"b": None}], "ü": "\N{PARTY POPPER}"},
            parent=parent.id,
        ),
    )
    assert written.principal == CLAUDE.agent_id
    assert written.sender == "claude-main/reviewer"
    assert written.sender_type == CLAUDE.agent_type
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", written.timestamp)

    page = await storing.page(store, "room", CLAUDE, after=None, before=None, limit=10)
    log = await storing.log_page(store, "room", after=0, limit=10, audience=None)
    assert page.messages == log.messages == [parent, written]
    assert page.messages[1].visibility is Visibility.AGENT_ONLY
    assert bytes(page.messages[1].metadata) == bytes(written.metadata)


async def test_fifty_writers_leave_no_hole_and_an_unbroken_chain(store: Database):
    rooms = [f"room-{number}" for number in range(7)]
    await asyncio.gather(*(storing.create_session(store, new_session(room)) for room in rooms))
    announced = []
    store.on_commit(announced.extend)

    async def write(number: int):
        return [
            await storing.append(store, new_message(rooms[(number + turn) % 7], f"{number}/{turn}"))
            for turn in range(20)
        ]

    written = [m for some in await asyncio.gather(*map(write, range(50))) for m in some]

    assert [message.id for message in announced] == list(range(1, 1001))
    assert sorted(written, key=lambda message: message.id) == announced
    last: dict[str, int] = defaultdict(int)
    for message in announced:
        assert message.prev == last[message.session_id]
        last[message.session_id] = message.id
    for room in rooms:
        stored = await storing.log_page(store, room, after=0, limit=1000, audience=None)
        assert stored.messages == [m for m in announced if m.session_id == room]


async def test_a_message_for_no_session_is_refused_and_takes_no_id(store: Database):
    results = await asyncio.gather(
        storing.append(store, new_message()),
        storing.append(store, new_message("nowhere")),
        storing.append(store, new_message()),
        return_exceptions=True,
    )
    assert [getattr(result, "id", None) for result in results] == [1, None, 2]
    assert isinstance(results[1], SessionNotFound)


async def test_a_session_made_in_the_same_batch_can_be_written_to(store: Database):
    (_, created), message = await asyncio.gather(
        storing.create_session(store, new_session("fresh")),
        storing.append(store, new_message("fresh")),
    )
    assert created
    assert (message.id, message.prev) == (1, 0)


@pytest.mark.parametrize("parent", [0, -1, 99, MAX_ID, 2**63, 2**70])
async def test_an_unknown_parent_is_refused(store: Database, parent: int):
    with pytest.raises(ParentNotFound):
        await storing.append(store, new_message(parent=parent))
    assert await everything(store) == []


async def test_a_parent_of_another_session_is_refused(store: Database):
    await storing.create_session(store, new_session("other"))
    parent = await storing.append(store, new_message("other"))
    with pytest.raises(ParentNotFound):
        await storing.append(store, new_message(parent=parent.id))


@pytest.mark.parametrize(
    ("visibility", "author", "allowed"),
    [
        (Visibility.PUBLIC, NOBODY, True),
        (Visibility.PRIVATE, CLAUDE, True),
        (Visibility.PRIVATE, CODEX, False),
        (Visibility.PRIVATE, ADMIN, False),
        (Visibility.AGENT_ONLY, CODEX, False),
        (Visibility.AGENT_ONLY, ADMIN, True),
        (Visibility.AGENT_ONLY, NOBODY, False),
        (Visibility.ADMIN_ONLY, CLAUDE, False),
        (Visibility.ADMIN_ONLY, ADMIN, True),
    ],
)
async def test_a_parent_must_be_visible_to_the_author(store: Database, visibility, author, allowed):
    parent = await storing.append(store, new_message(visibility=visibility))
    as_narrow = Visibility.PUBLIC if visibility is Visibility.PUBLIC else Visibility.PRIVATE
    reply = new_message(author=author, parent=parent.id, visibility=as_narrow)
    if allowed:
        assert (await storing.append(store, reply)).parent_message_id == parent.id
    else:
        with pytest.raises(ParentNotFound):
            await storing.append(store, reply)


async def test_a_parent_in_the_same_batch_is_found(store: Database):
    first, reply = await asyncio.gather(
        storing.append(store, new_message()), storing.append(store, new_message(parent=1))
    )
    assert (first.id, reply.parent_message_id) == (1, 1)


async def test_an_acknowledged_write_is_seen_by_the_next_read(store: Database):
    async def write_and_read(number: int) -> None:
        for _ in range(10):
            message = await storing.append(store, new_message(content=str(number)))
            assert await storing.session_head(store, "room") >= message.id
            page = await storing.page(
                store, "room", NOBODY, after=message.id - 1, before=None, limit=1
            )
            assert page.messages == [message]

    await asyncio.gather(*map(write_and_read, range(20)))
