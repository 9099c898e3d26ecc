"""The tallies: what is kept is what counting anew would give, whatever failed in between."""

import asyncio
import sqlite3
from contextlib import closing
from operator import itemgetter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_node.log.interface import Database
from mcp_node.log.transaction import Transaction
from mcp_node.sessions.reads import view
from mcp_node.sessions.tallies import Tallies, message_count
from mcp_node.storage import SCHEMA
from proto.messages import Audience, Message, Session, Visibility
from proto.visibility import may_see
from tests.mcp_node import storing
from tests.mcp_node.making import ADMIN, CLAUDE, CODEX, NOBODY, new_message, new_session, opened

READERS = [CLAUDE, CODEX, ADMIN, NOBODY, Audience("claude-2", "claude"), Audience("x", "t;")]
RECOUNT = (
    "SELECT session_id, audience, count(*), max(id), max(timestamp) FROM messages"
    " GROUP BY session_id, audience ORDER BY session_id, audience"
)
KEPT = "SELECT session_id, audience, messages, last_id, last_at FROM tallies ORDER BY 1, 2"


async def kept(store: Database) -> list[tuple[object, ...]]:
    """The tallies, which must be what a count gives."""

    def both(connection: sqlite3.Connection) -> tuple[list[object], list[tuple[object, ...]]]:
        return connection.execute(RECOUNT).fetchall(), connection.execute(KEPT).fetchall()

    counted, found = await store.read(both)
    assert found == counted
    return found


class Broken:
    """An operation that adds a message and then fails as SQLite does."""

    size = 0

    def apply(self, transaction: Transaction) -> None:
        last = transaction.last_of("room")
        assert last is not None
        message = new_message()
        place = (transaction.last() + 1, last, "room", *("claude-main",) * 2, "claude")
        when = "2026-01-01T00:00:00.000000Z"
        transaction.add(Message(*place, "x", Visibility.PUBLIC, when, message.metadata, None))
        transaction.write("INSERT INTO nowhere VALUES (1)")


class Uncount:
    """What deleting does to the tallies."""

    size = 0

    def __init__(self, message: Message) -> None:
        self._message = message

    def apply(self, transaction: Transaction) -> None:
        transaction.companion(Tallies).erasing(transaction, self._message)
        transaction.write("UPDATE messages SET content = '' WHERE id = ?", (self._message.id,))


async def test_a_batch_and_its_broken_operation_leave_exact_tallies(store: Database):
    levels = list(Visibility)
    results = await asyncio.gather(
        *(
            storing.append(
                store, new_message(author=(CLAUDE, ADMIN)[n % 2], visibility=levels[n % 4])
            )
            for n in range(40)
        ),
        store.write(Broken()),
        *(storing.append(store, new_message("nowhere")) for _ in range(3)),
        return_exceptions=True,
    )
    assert [isinstance(result, Message) for result in results] == [True] * 40 + [False] * 4
    assert {row[1]: row[2] for row in await kept(store)} == {
        "p": 10,
        "s:root": 10,
        "t:claude": 10,
        "a": 10,
    }


async def test_a_transaction_writes_one_row_for_each_session_and_key(tmp_path: Path):
    with closing(sqlite3.connect(":memory:")) as connection:
        for step in (s for some in SCHEMA.versions for s in some):
            connection.execute(step) if isinstance(step, str) else step(connection)
        connection.execute(
            "INSERT INTO sessions (session_id, purpose, metadata, created_by, created_at)"
            " VALUES ('room', 'p', '{}', 'a', '2026-01-01T00:00:00.000000Z')"
        )
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        tallies = Tallies()
        metadata = new_message().metadata
        for id_ in range(1, 101):
            when = f"2026-01-01T00:00:00.{id_:06}Z"
            place = (id_, id_ - 1, "room", "a", "a", "claude", "x", Visibility.PUBLIC)
            tallies.added(Message(*place, when, metadata, None))
        tallies.finish(connection)
        tallies.finish(connection)
        assert len([s for s in statements if s.startswith("INSERT INTO tallies")]) == 1
        (row,) = connection.execute(KEPT).fetchall()
        assert row == ("room", "p", 100, 100, "2026-01-01T00:00:00.000100Z")


async def test_what_is_deleted_no_longer_counts_but_happened(store: Database):
    first, last = [await storing.append(store, new_message()) for _ in range(2)]
    await store.write(Uncount(last))
    (one,) = await storing.list_sessions(store, NOBODY, within=None, limit=9, active_since=None)
    assert (one.message_count, one.last_activity) == (1, last.timestamp)
    await store.write(Uncount(first))
    (one,) = await storing.list_sessions(store, NOBODY, within=None, limit=9, active_since=None)
    assert (one.message_count, one.last_activity) == (0, last.timestamp)
    await storing.append(store, new_message())
    (one,) = await storing.list_sessions(store, NOBODY, within=None, limit=9, active_since=None)
    assert one.message_count == 1


async def test_a_view_and_the_list_count_what_their_reader_sees(store: Database):
    for level in Visibility:
        author = ADMIN if level is Visibility.ADMIN_ONLY else CLAUDE
        await storing.append(store, new_message(author=author, visibility=level))
    for reader, expected in zip(READERS, (3, 1, 3, 1, 2, 1), strict=True):
        (one,) = await storing.list_sessions(store, reader, within=None, limit=9, active_since=None)

        def seen(connection: sqlite3.Connection, who: Audience = reader) -> tuple[int, int]:
            _, count, page = view(connection, "room", who, 20)
            assert message_count(connection, who, "nowhere") == 0
            return count, len(page.messages)

        assert (one.message_count, *await store.read(seen)) == (expected,) * 3


@pytest.mark.sqlite
async def test_tallies_go_on_after_reopening_and_are_made_for_an_older_log(tmp_path: Path):
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        for level in (Visibility.PUBLIC, Visibility.PRIVATE, Visibility.PUBLIC):
            await storing.append(store, new_message(visibility=level))
    async with opened(tmp_path) as store:
        await storing.append(store, new_message())
        rows = await kept(store)
    fourth = SCHEMA.versions[3]
    filling = next(statement for statement in fourth if "INSERT INTO tallies" in statement)
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as connection:
        connection.execute("DELETE FROM tallies")
        connection.execute(filling)
        assert connection.execute(KEPT).fetchall() == rows


@given(
    messages=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(READERS), st.sampled_from(Visibility)),
        max_size=30,
    ),
    limit=st.integers(1, 7),
    known=st.none() | st.frozensets(st.integers(0, 6)),
)
@settings(max_examples=20, deadline=None)
async def test_the_list_is_what_looking_at_every_message_would_give(
    tmp_path_factory, messages, limit, known
):
    within = None if known is None else frozenset(f"r{n}" for n in known)
    async with opened(tmp_path_factory.mktemp("list")) as store:
        made = [(await storing.create_session(store, new_session(f"r{n}")))[0] for n in range(6)]
        written = [
            await storing.append(
                store, new_message(f"r{room}", author=author, visibility=visibility)
            )
            for room, author, visibility in messages
        ]
        await kept(store)
        for reader in READERS:
            seen = [m for m in written if may_see(reader, m.visibility, m.principal, m.sender_type)]
            rows = counted(made, seen, within)
            for active_since in (None, rows[len(rows) // 2][0] if rows else None):
                found = await storing.list_sessions(
                    store, reader, within=within, limit=limit, active_since=active_since
                )
                shown = [(o.last_activity, o.session.session_id, o.message_count) for o in found]
                wanted = [row for row in rows if active_since is None or row[0] >= active_since]
                assert shown == wanted[:limit]


def counted(
    sessions: list[Session], seen: list[Message], within: frozenset[str] | None
) -> list[tuple[str, str, int]]:
    """Activity, id and count of each session, from everything a reader sees."""
    rows = []
    for session in sessions:
        times = [m.timestamp for m in seen if m.session_id == session.session_id]
        if within is None or session.session_id in within:
            rows.append((max([session.created_at, *times]), session.session_id, len(times)))
    return sorted(sorted(rows, key=itemgetter(1)), key=itemgetter(0), reverse=True)
