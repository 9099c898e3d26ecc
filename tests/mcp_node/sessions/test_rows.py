"""What SQLite does for a read: seeks on an index, never a scan or a sort of a session."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mcp_node.log import messages
from mcp_node.log.sqlite.schema import prepare
from mcp_node.sessions import listing
from mcp_node.sessions import rows as queries
from mcp_node.sessions.guard import SAID_SINCE_HUMAN
from mcp_node.storage import SCHEMA

pytestmark = pytest.mark.sqlite

BY_AUDIENCE = "messages_by_audience"
PARAMETERS = {
    "session": "room",
    "after": 0,
    "before": 10,
    "limit": 51,
    "sender": None,
    "since": None,
    "within": "[]",
    **{f"key{number}": "p" for number in range(queries.BRANCHES)},
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    prepare(tmp_path / "partyline.db", SCHEMA, None)
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as connection:
        yield connection


def plan(database: sqlite3.Connection, sql: str, parameters: Any = PARAMETERS) -> list[str]:
    return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("by_sender", [False, True])
@pytest.mark.parametrize("keys", [1, 2, 3, 4, queries.BRANCHES])
def test_a_filtered_read_seeks_each_key_and_merges(database, keys, descending, by_sender):
    sql = queries.visible(keys, descending=descending, by_sender=by_sender)
    steps = plan(database, sql)
    searches = [step for step in steps if "messages" in step]
    index, sender = ("messages_by_sender", " AND sender=?") if by_sender else (BY_AUDIENCE, "")
    sought = f"(session_id=? AND audience=?{sender} AND id>? AND id<?)"
    assert searches == [f"SEARCH messages USING INDEX {index} {sought}"] * keys
    assert not [step for step in steps if "SCAN" in step or "B-TREE" in step]
    assert ("MERGE (UNION ALL)" in steps) == (keys > 1)


def test_an_unfiltered_read_seeks_the_session(database):
    assert plan(database, queries.EVERYTHING) == [
        "SEARCH messages USING INDEX messages_by_session (session_id=? AND id>?)"
    ]


def test_the_types_of_a_session_are_found_by_seeks(database):
    steps = [step for step in plan(database, queries.ALL_TYPES) if "messages" in step]
    assert len(steps) == 2  # newer SQLite calls the index COVERING
    assert all(step.startswith("SEARCH messages USING") for step in steps)
    assert all("(session_id=? AND audience>? AND audience<?)" in step for step in steps)


@pytest.mark.parametrize("all_types", [False, True])
def test_a_list_of_sessions_seeks_the_tallies_of_those_it_looks_at(database, all_types):
    steps = plan(database, listing.listing(3, of_all_types=all_types))
    tallies = [step for step in steps if "tallies" in step]
    assert any("audience>?" in step for step in tallies) is all_types
    assert all("USING PRIMARY KEY (session_id=? AND audience" in step for step in tallies)
    assert not [step for step in steps if "messages" in step]
    assert any("SEARCH s USING INDEX" in step for step in steps)


@pytest.mark.parametrize(
    ("sql", "parameters", "index"),
    [
        (listing.LATEST, ("p", 20), "tallies_by_time"),
        (listing.NEWEST, (20,), "sessions_by_time"),
        (listing.ALL_TYPES, (), "tallies_by_time"),
    ],
)
def test_the_sessions_to_look_at_are_the_first_of_an_index(database, sql, parameters, index):
    steps = plan(database, sql, parameters)
    assert [step for step in steps if f"INDEX {index}" in step]
    assert not [step for step in steps if "B-TREE" in step or step == "SCAN tallies"]


def test_what_was_said_since_a_person_spoke_is_found_by_seeks(database):
    steps = plan(database, SAID_SINCE_HUMAN, {"session": "room", "key": "p", "limit": 10})
    searches = [step for step in steps if "messages" in step]
    assert [step.split("INDEX ")[1] for step in searches] == [
        "messages_by_audience (session_id=? AND audience=? AND id>?)",
        "messages_by_humans (session_id=?)",
    ]
    assert not [step for step in steps if "B-TREE" in step]


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        (queries.MOVED, (0, 10)),
        (messages.SESSION_HEAD, ("room",)),
        (messages.HEAD, ()),
    ],
)
def test_heads_are_read_by_index(database, sql, parameters):
    (step,) = plan(database, sql, parameters)
    assert step.startswith("SEARCH messages")


def test_the_types_are_distinct_sorted_and_of_that_session_alone(database):
    database.execute(queries.INSERT_SESSION, ("room", "", "{}", "a", "x" * 27))
    database.execute(queries.INSERT_SESSION, ("other", "", "{}", "a", "x" * 27))
    rows = [("room", kind) for kind in "bacab;~"] + [("other", "z")]
    for number, (room, kind) in enumerate(rows, 1):
        database.execute(
            messages.INSERT_MESSAGE,
            (number, 0, room, "me", "me", kind, "", "agent_only", "x" * 27, "{}", *[None] * 4),
        )
    found = [key for (key,) in database.execute(queries.ALL_TYPES, {"session": "room"})]
    assert found == ["t:;", "t:a", "t:b", "t:c", "t:~"]
