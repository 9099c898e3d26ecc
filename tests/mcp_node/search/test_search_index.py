"""How the index is kept: with old logs, long ones, failures, and nothing ever lost."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mcp_node.log.interface import Database
from mcp_node.search import index as search_index
from mcp_node.sessions.rows import INSERT_SESSION
from mcp_node.storage import SCHEMA
from proto.errors import KeyReused, PartylineError, Unavailable
from tests import postgres
from tests.mcp_node import storing
from tests.mcp_node.making import CLAUDE, new_message, opened
from tests.mcp_node.search.searching import Statement, found, search

NOW = "2026-11-24T04:00:00.000000Z"


def through(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT through FROM search_state").fetchone()[0])


def old_log(path: Path, count: int) -> None:
    """A log as the version before search left it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for statements in SCHEMA.versions[:6]:
            for statement in statements:
                assert isinstance(statement, str)
                connection.execute(statement)
        connection.execute("PRAGMA user_version = 6")
        connection.execute(INSERT_SESSION, ("room", "p", "{}", "bob", NOW))
        connection.executemany(
            "INSERT INTO messages (id, prev, session_id, principal, sender, sender_type,"
            " content, visibility, timestamp, metadata)"
            " VALUES (?1, ?1 - 1, 'room', 'bob', 'bob', 'claude', ?2, ?3, ?4, '{}')",
            [
                (n, f"message {n} router" if n % 7 else "", "private" if n % 2 else "public", NOW)
                for n in range(1, count + 1)
            ],
        )


@pytest.mark.sqlite
@pytest.mark.parametrize("count", [0, 3, 2_500])
async def test_an_old_log_is_indexed_when_it_is_opened(tmp_path: Path, count: int) -> None:
    old_log(tmp_path / "partyline.db", count)
    for _ in range(2):
        async with opened(tmp_path) as store:
            assert await store.read(through) == count
            expected = [n for n in range(count, 0, -1) if n % 7 and not n % 2]
            assert await found(store, "router", limit=10_000) == expected
            assert await found(store, "ruoter", limit=10_000) == expected
            assert await found(store, f"message {count}") == expected[:1] or count % 2


async def test_messages_are_indexed_when_enough_wait(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "DUE_MESSAGES", 4)
    for number in range(1, 11):
        await storing.append(store, new_message(content=f"hello {number}"))
        indexed = await store.read(through)
        assert number - indexed < 4
        assert await found(store, "hello") == list(range(number, 0, -1))
    assert await store.read(through) > 0


async def test_long_messages_are_not_left_waiting(store: Database) -> None:
    await storing.append(store, new_message(content="first"))  # the writer looks how much waits
    await storing.append(store, new_message(content="a " * (search_index.DUE_CHARS // 2)))
    assert await store.read(through) == 2


async def test_what_waited_when_the_node_died_is_found_and_indexed(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.write(
            Statement(INSERT_SESSION, "room", "p", "{}", "bob", NOW),
        )
        for _ in range(3):
            await storing.append(store, new_message())
        assert await store.read(through) < 3
    async with opened(tmp_path) as store:
        assert await found(store, "hello") == [3, 2, 1]
        await storing.append(store, new_message())
        assert await store.read(through) == 4
        assert await found(store, "hello") == [4, 3, 2, 1]


class Refused:
    """A write that fails after its first change: the others of its transaction run again."""

    size = 0

    def apply(self, transaction: Any) -> None:
        transaction.write("UPDATE sessions SET purpose = 'changed'")
        raise KeyReused


async def test_what_is_rolled_back_is_not_found_and_harms_nothing(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "DUE_MESSAGES", 2)
    for number in range(6):
        awaited = [storing.append(store, new_message(content=f"hello {number}")) for _ in range(2)]
        with pytest.raises(PartylineError):
            await store.write(Refused())
        for one in awaited:
            await one
    assert await found(store, "hello") == list(range(12, 0, -1))
    assert await found(store, "hello 5") == [12, 11]


async def test_an_index_that_fails_stops_searches_and_nothing_else(
    store: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(search_index, "DUE_MESSAGES", 2)
    monkeypatch.setattr("mcp_node.search.rows._NOT_INDEXED", 9)
    await storing.append(store, new_message())
    await store.write(Statement("ALTER TABLE search_words RENAME TO lost"))
    added = [await storing.append(store, new_message(content=f"hello word{n}")) for n in range(8)]
    assert [message.id for message in added] == list(range(2, 10))
    error = "UndefinedTable" if postgres.wanted() else "OperationalError"
    assert f"messages cannot be indexed: {error}" in caplog.text
    assert "hello" not in caplog.text
    assert await found(store, "hello") == list(range(9, 0, -1))
    await storing.append(store, new_message())
    with pytest.raises(Unavailable):
        await search(store, "hello")
    await store.write(Statement("ALTER TABLE lost RENAME TO search_words"))
    for _ in range(2):
        await storing.append(store, new_message())
    assert await found(store, "hello") == list(range(12, 0, -1))
    page = await storing.page(store, "room", CLAUDE, after=None, before=None, limit=100)
    assert len(page.messages) == 12


async def test_a_search_delays_no_other_read_and_no_write(store: Database) -> None:
    go_on = threading.Event()
    holding = asyncio.create_task(store.read_long(lambda _: go_on.wait(10)))
    searching = asyncio.create_task(found(store, "hello"))
    message = await storing.append(store, new_message())
    page = await storing.page(store, "room", CLAUDE, after=None, before=None, limit=1)
    assert page.messages == [message]
    assert not searching.done()
    go_on.set()
    assert await holding
    assert await searching == [1]
