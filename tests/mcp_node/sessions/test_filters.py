"""Reading a thread, and messages by fields of their metadata, against a model."""

import asyncio
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_node.log.interface import Database
from mcp_node.log.migrations import Schema
from mcp_node.log.pruning import PruneMessages
from mcp_node.log.sql import Connection
from mcp_node.log.sqlite.schema import prepare
from mcp_node.services import Services, make_services
from mcp_node.sessions import filters
from mcp_node.sessions.checks import check_fields
from mcp_node.sessions.metadata_index import MAX_FIELDS
from mcp_node.sessions.reads import Page, PageQuery, page
from mcp_node.storage import SCHEMA
from proto.errors import InvalidInput, MessageNotFound, PartylineError
from proto.messages import Audience, Message, Principal, Visibility
from proto.settings import load_settings
from proto.visibility import may_see
from tests import postgres
from tests.mcp_node import storing
from tests.mcp_node.making import ADMIN, CLAUDE, CODEX, NOBODY, new_message, new_session

ALICE = Principal("claude-main", "claude", frozenset({"read", "write"}))
BOB = Principal("codex-1", "codex", frozenset({"read", "write"}))
BOUND = st.none() | st.integers(0, 80)
VALUES: list[Any] = ["finding", "1", 1, 1.5, 0, True, False, None, ""]


async def read(store: Database, audience: Audience, query: PageQuery) -> Page:
    return await store.read(partial(page, audience=audience, query=query))


async def rows(store: Database) -> int:
    def count(connection: Connection) -> int:
        return int(connection.execute("SELECT count(*) FROM metadata_fields").fetchone()[0])

    return await store.read(count)


@pytest.fixture
async def log(store: Database) -> list[Message]:
    """Seventy messages with metadata; most of them replies, at any depth."""
    await storing.create_session(store, new_session("other"))
    written: list[Message] = []
    for number in range(70):
        here = [m.id for m in written if m.session_id == "room"]
        parent = here[number * 5 % len(here)] if number % 4 and here else None
        common = {
            "author": (CLAUDE, CODEX, ADMIN)[number % 3],
            "sender": "both" if number % 7 == 0 else None,
            "visibility": list(Visibility)[number * 7 % 11 % 4],
            "metadata": {"kind": VALUES[number % 9], "even": number % 2 == 0, "list": [1]},
        }
        session = "other" if number % 9 == 8 else "room"
        try:
            message = new_message(session, parent=parent if session == "room" else None, **common)
            written.append(await storing.append(store, message))
        except PartylineError:  # the parent is hidden, or more would see the reply
            written.append(await storing.append(store, new_message(session, **common)))
    return [message for message in written if message.session_id == "room"]


def same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def model(log: list[Message], reader: Audience, query: PageQuery, fields: dict[str, Any]) -> Page:
    visible = [m for m in log if may_see(reader, m.visibility, m.principal, m.sender_type)]
    under = {query.thread}
    found = []
    for m in visible:
        if m.parent_message_id in under and query.thread is not None:
            under.add(m.id)
        elif query.thread is not None:
            continue
        metadata = msgspec.json.decode(m.metadata)
        if (
            (query.after is None or m.id > query.after)
            and (query.before is None or m.id < query.before)
            and query.sender in (None, m.sender)
            and query.visibility in (None, m.visibility)
            and all(key in metadata and same(metadata[key], fields[key]) for key in fields)
        ):
            found.append(m)
    part = found[-query.limit :] if query.descending else found[: query.limit]
    return Page(part, len(found) > query.limit)


@given(
    reader=st.sampled_from([CLAUDE, CODEX, ADMIN, NOBODY]),
    after=BOUND,
    before=BOUND,
    limit=st.integers(1, 20),
    sender=st.sampled_from([None, None, "both", "claude-main", "nobody"]),
    visibility=st.none() | st.sampled_from(Visibility),
    thread=st.none() | st.integers(0, 12),
    fields=st.dictionaries(
        st.sampled_from(["kind", "even", "none"]), st.sampled_from(VALUES), max_size=2
    ),
)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_a_filtered_page_is_what_the_model_says(
    store: Database, log, reader, after, before, limit, sender, visibility, thread, fields
):
    query = PageQuery("room", after, before, limit, after is None, sender, visibility)
    query = query._replace(fields=check_fields(fields or None))
    if thread is not None:
        query = query._replace(thread=log[thread].id)
        root = log[thread]
        if not may_see(reader, root.visibility, root.principal, root.sender_type):
            with pytest.raises(MessageNotFound):
                await read(store, reader, query)
            return
    assert await read(store, reader, query) == model(log, reader, query, fields)


async def test_a_thread_of_nothing_of_elsewhere_and_of_a_deletion_is_not_found(
    store: Database, tmp_path: Path
):
    able = make_services(store, load_settings(data_dir=tmp_path))
    await storing.create_session(store, new_session("other"))
    other = await storing.append(store, new_message("other"))
    mine = await storing.append(store, new_message())
    await able.deletion.delete_message(ALICE, "room", mine.id)
    for thread in (2**53, other.id, mine.id + 1):
        with pytest.raises(MessageNotFound):
            await storing.read(able, ALICE, thread=thread)
    assert (await storing.read(able, ALICE, thread=mine.id))["messages"] == []


async def test_a_filtered_page_leaves_the_others_unread(store: Database, tmp_path: Path):
    able = make_services(store, load_settings(data_dir=tmp_path))
    await storing.read(able, BOB)
    first = await storing.append(store, new_message(metadata={"kind": "finding"}))
    await storing.append(store, new_message(parent=first.id))
    await storing.append(store, new_message())
    for part in ({"thread": first.id}, {"metadata": {"kind": "finding"}}):
        found = await storing.read(able, BOB, after=0, **part)
        assert len(found["messages"]) == 1
    assert await able.inbox.unread(BOB, "room") == 1


async def test_a_deeper_thread_than_is_read_is_refused(
    store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    last = None
    for _ in range(30):
        last = (await storing.append(store, new_message(parent=last))).id
    able = make_services(store, load_settings(data_dir=tmp_path))
    assert len((await storing.read(able, BOB, thread=1))["messages"]) == 29
    monkeypatch.setattr(filters, "MAX_THREAD", 28)
    with pytest.raises(InvalidInput, match="more than 28"):
        await storing.read(able, BOB, thread=1)


async def test_deleted_and_pruned_messages_leave_the_index(store: Database, tmp_path: Path):
    able = make_services(store, load_settings(data_dir=tmp_path))
    for _ in range(3):
        await storing.append(store, new_message(metadata={"kind": "finding", "n": 1}))
    assert await rows(store) == 6
    await able.deletion.delete_message(ALICE, "room", 1)
    assert await rows(store) == 4
    assert await ids(able, {"kind": "finding"}) == [2, 3]
    await store.write(PruneMessages([1, 2]))
    assert await rows(store) == 2
    await store.write(PruneMessages([3]))  # keeps its row, without its metadata
    assert await ids(able, {"kind": "finding"}) == []


async def ids(able: Services, fields: dict[str, Any]) -> list[int]:
    found = await storing.read(able, BOB, metadata=fields)
    return [message["id"] for message in found["messages"]]


async def test_only_the_first_fields_are_indexed_and_empty_metadata_has_none(store: Database):
    await storing.append(store, new_message())
    assert await rows(store) == 0
    await storing.append(store, new_message(metadata={f"k{n}": n for n in range(MAX_FIELDS + 5)}))
    assert await rows(store) == MAX_FIELDS


async def test_equal_numbers_are_the_same_and_true_is_not_one(store: Database, tmp_path: Path):
    able = make_services(store, load_settings(data_dir=tmp_path))
    for value in (1, 1.0, True, "1", None):
        await storing.append(store, new_message(metadata={"n": value}))
    assert await ids(able, {"n": 1}) == await ids(able, {"n": 1.0}) == [1, 2]
    assert await ids(able, {"n": True}) == [3]
    assert await ids(able, {"n": "1"}) == [4]
    assert await ids(able, {"n": None}) == [5]


async def test_a_search_is_filtered_too(store: Database, tmp_path: Path):
    able = make_services(store, load_settings(data_dir=tmp_path))
    hidden = await storing.append(store, new_message(visibility=Visibility.PRIVATE))
    for parent in (None, 2):
        for metadata in (None, {"kind": "finding", "n": 1}):
            await storing.append(store, new_message(parent=parent, metadata=metadata))

    async def found(**part: Any) -> list[int]:
        hits = await able.search.search_messages(BOB, "hello", "room", **part)
        return [hit["message_id"] for hit in hits["results"]]

    assert await found() == [5, 4, 3, 2]
    assert await found(thread=2) == [5, 4]
    assert await found(metadata={"kind": "finding"}) == [5, 3]
    assert await found(thread=2, metadata={"n": 1.0, "kind": "finding"}) == [5]
    assert await found(metadata={"n": 2, "kind": "finding"}) == []
    with pytest.raises(MessageNotFound):
        await found(thread=hidden.id)
    with pytest.raises(InvalidInput, match="needs session_id"):
        await able.search.search_messages(BOB, "hello", thread=2)


@pytest.mark.parametrize(
    "metadata", [{}, [], "kind", {"a": []}, {"a": {}}, {"a": [[1]]}, {"a": 2**60}, {"a": "\0"}]
)
def test_a_filter_that_cannot_be_is_refused(metadata: Any):
    with pytest.raises(InvalidInput):
        check_fields(metadata)


def test_more_fields_than_a_few_are_refused():
    with pytest.raises(InvalidInput, match="1 to 5"):
        check_fields({str(n): n for n in range(6)})


@pytest.mark.skipif(postgres.wanted(), reason="its older tables were SQLite's")
async def test_older_logs_are_indexed(tmp_path: Path):
    before = Schema(SCHEMA.versions[:10], SCHEMA.add_functions)
    path = tmp_path / "partyline.db"
    await asyncio.to_thread(prepare, path, before, None)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO sessions (session_id, purpose, metadata, created_by, created_at)"
            " VALUES ('room', 'p', '{}', 'a', '2026-11-29T00:00:00.000000Z')"
        )
        connection.executemany(
            "INSERT INTO messages (id, prev, session_id, principal, sender, sender_type, content,"
            " visibility, timestamp, metadata) VALUES (?, ?, 'room', 'a', 'a', 'x', 'hi', 'public',"
            " '2026-11-29T00:00:00.000000Z', ?)",
            [(1, 0, "{}"), (2, 1, '{"kind":"finding"}'), (3, 2, '{"kind":[1]}')],
        )
    await asyncio.to_thread(prepare, path, SCHEMA, None)
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT session_id, audience, message_id FROM metadata_fields")
        assert found.fetchall() == [("room", "p", 2)]
