"""Read positions of an older database, and what is not stored yet."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from mcp_node.inbox.unread import Reach, ReadPosition, news, not_recorded, standing
from mcp_node.search.fts5 import add_search_functions
from mcp_node.storage import SCHEMA
from proto.messages import Audience
from tests.mcp_node.making import opened

BOB = Audience("bob", "claude")
AT = "2026-01-01T00:00:00.000000Z"
BEFORE = 7
"""The schema version in which only mentions were given out of turn."""


def older(path: Path) -> None:
    """A session of four messages: bob has read the first, and was given the third as a mention."""
    with closing(sqlite3.connect(path)) as connection, connection:
        add_search_functions(connection)
        for step in (step for steps in SCHEMA.versions[:BEFORE] for step in steps):
            connection.execute(step) if isinstance(step, str) else step(connection)
        connection.execute(f"PRAGMA user_version = {BEFORE}")
        connection.execute(
            "INSERT INTO sessions (session_id, purpose, metadata, created_by, created_at)"
            " VALUES ('room', 'p', '{}', 'a', ?)",
            (AT,),
        )
        connection.executemany(
            "INSERT INTO messages (id, prev, session_id, principal, sender, sender_type, content,"
            " visibility, timestamp, metadata) VALUES (?, ?, 'room', 'a', 'a', 'x', 'text',"
            " 'public', ?, '{}')",
            [(id_, id_ - 1, AT) for id_ in (1, 2, 3, 4)],
        )
        connection.execute(
            "INSERT INTO readers VALUES ('room', 'bob', 'claude', 0, ?, ?, 0, 1, 3)", (AT, AT)
        )
        connection.execute("INSERT INTO advances VALUES ('room', 'bob', 3, 1, ?)", (AT,))


@pytest.mark.sqlite
async def test_what_an_older_version_gave_as_a_mention_is_read(tmp_path: Path) -> None:
    older(tmp_path / "partyline.db")
    async with opened(tmp_path) as store:
        found = await store.read(partial(standing, audience=BOB, reach=Reach("room")))
        assert (found.place, found.unread, found.known) == (ReadPosition(0, 1, 3), 2, True)
        reach = Reach("room", found.place)
        given = await store.read(partial(news, audience=BOB, reach=reach, limit=10))
        assert [entry.id for entry in given.page.messages] == [2, 4]
        assert given.through == 4
        asked = partial(not_recorded, session_id="room", principal="bob", ids=[2, 3, 4])
        assert await store.read(asked) == [2, 4]


@pytest.mark.sqlite
async def test_what_is_not_stored_yet_is_read_as_well(tmp_path: Path) -> None:
    older(tmp_path / "partyline.db")
    async with opened(tmp_path) as store:
        reach = Reach("room", ReadPosition(0, 1, 4), [4])
        found = await store.read(partial(standing, audience=BOB, reach=reach))
        assert found.unread == 1
        given = await store.read(partial(news, audience=BOB, reach=reach, limit=10))
        assert ([entry.id for entry in given.page.messages], given.through) == ([2], 4)
