"""Pruning: old messages leave the database; ids, chains and what refers to them stay right."""

import asyncio
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mcp_node.inbox import mention_rows
from mcp_node.log import pruning
from mcp_node.log.interface import Database
from mcp_node.log.pruning import PruneMessages, find_prunable
from mcp_node.log.sqlite.commits import commit
from mcp_node.log.sqlite.schema import prepare
from mcp_node.log.tail import LogTail
from mcp_node.search.fts5 import add_search_functions
from mcp_node.sessions import digests, tallies
from mcp_node.sessions.delete_message import DeleteMessage
from mcp_node.storage import SCHEMA, companions
from proto.messages import Visibility, utc
from proto.settings import load_settings
from tests import postgres
from tests.mcp_node import storing
from tests.mcp_node.making import CLAUDE, CODEX, everything, new_message, new_session, opened
from tests.mcp_node.sessions.test_delete_message import change, everything_in, rows, shown

OLD = utc(1_000_000_000)
MOMENT = utc(1_500_000_000)
SECRET = "what was said long ago"


async def age(store: Database, *ids: int) -> None:
    """Make messages old; all of them if none is named."""
    which = f"WHERE id IN ({','.join(map(str, ids))})" if ids else ""
    await change(store, f"UPDATE messages SET timestamp = '{OLD}' {which}")


async def prune(store: Database, before: str = MOMENT, *, dry_run: bool = False) -> int:
    """As the route does it: how many messages."""
    messages, through, done = 0, 0, False
    while not done:
        found = await store.read(partial(find_prunable, before=before, after=through))
        if found.ids and not dry_run:
            await store.write(PruneMessages(found.ids))
        messages += found.messages
        through, done = found.through, found.done
    return messages


async def test_what_is_older_goes_and_the_rest_stays(store: Database) -> None:
    for number in range(6):
        await storing.append(store, new_message(content=str(number)))
    await age(store, 1, 2, 4)
    assert await prune(store, dry_run=True) == 3
    assert await everything(store) == [1, 2, 3, 4, 5, 6]
    assert await prune(store) == 3
    assert [message["content"] for message in await shown(store)] == ["2", "4", "5"]
    assert await prune(store) == 0


async def test_the_last_of_every_session_stays_without_its_texts(store: Database) -> None:
    await storing.create_session(store, new_session("other"))
    for room in ("room", "room", "other", "room", "other"):
        await storing.append(store, new_message(room, content=SECRET, metadata={"k": SECRET}))
    await age(store)
    assert await prune(store) == 5
    (left,) = await shown(store)
    assert (left["id"], left["content"], left["metadata"], left["deleted"]) == (4, "", {}, True)
    assert await everything(store, "other") == [5]
    assert await prune(store, dry_run=True) == await prune(store) == 0


async def test_what_is_left_says_nothing_of_what_came_after_it_unseen(store: Database) -> None:
    await storing.create_session(store, new_session("other"))
    for room in ("room", "other"):
        for _ in range(2):
            await storing.append(store, new_message(room))
    await storing.append(store, new_message("room", visibility=Visibility.PRIVATE))
    await age(store)
    await prune(store)
    left = []
    for room in ("room", "other"):
        page = await storing.page(store, room, CODEX, after=None, before=None, limit=9)
        left.append([(each.content, each.deleted) for each in page.messages])
    assert left[0] == left[1] == [("", True)]


async def test_ids_go_on_after_everything_was_pruned_and_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        await storing.create_session(store, new_session("other"))
        for room in ("room", "other", "room", "other"):
            await storing.append(store, new_message(room, content=SECRET))
        await age(store)
        epoch = store.epoch
        assert await prune(store) == 4
        added = await storing.append(store, new_message(content="new"))
        assert (added.id, added.prev) == (5, 3)
    async with opened(tmp_path) as store:
        assert store.epoch == epoch
        again = await storing.append(store, new_message("other"))
        assert (again.id, again.prev) == (6, 4)
        assert await everything(store) == [3, 5]
        assert (await storing.heads(store, 0)).changed == {"room": 5, "other": 6}


async def test_an_entry_that_deletes_goes_with_the_rest_and_stays_as_the_last(
    store: Database,
) -> None:
    for _ in range(3):
        await storing.append(store, new_message())
    await store.write(DeleteMessage("room", 1, CLAUDE))  # 4
    await store.write(DeleteMessage("room", 2, CLAUDE))  # 5
    await age(store)
    assert await prune(store) == 3  # what said something, and what is left of it
    (entry,) = (await storing.log_page(store, "room", after=0, limit=9, audience=None)).messages
    assert (entry.id, entry.about, entry.deleted) == (5, 2, False)
    assert await shown(store) == []


async def test_replies_lose_their_parent_and_keys_mentions_and_advances_go(
    store: Database,
) -> None:
    keyed = msgspec.structs.replace(new_message(content="x"), idempotency_key="k")
    first = await storing.append(store, keyed)
    for parent in (None, 1, 3):
        await storing.append(store, new_message(parent=parent))
    await change(
        store,
        "INSERT INTO mentions VALUES ('room','bob',1), ('room','bob',3) ON CONFLICT DO NOTHING",
        "INSERT INTO readers (session_id, principal, agent_type, is_admin, first_seen, last_seen)"
        " VALUES ('room','bob','x',0,'-','-')",
        "INSERT INTO advances (session_id, principal, out_of_turn, position, at) VALUES"
        " ('room','bob',0,1,'-'), ('room','bob',0,2,'-'), ('room','bob',1,2,'-'),"
        " ('room','bob',0,3,'-'), ('room','bob',0,4,'-')",
    )
    await age(store, 1, 2)
    assert await prune(store) == 2
    assert [message["parent_message_id"] for message in await shown(store)] == [None, 3]
    assert await rows(store, "SELECT message_id FROM mentions WHERE name = 'bob'") == [(3,)]
    assert await rows(store, "SELECT position FROM advances WHERE principal = 'bob'") == [
        (3,),
        (4,),
    ]
    assert (await storing.append(store, keyed)).id > first.id  # its key is forgotten
    if not postgres.wanted():  # PostgreSQL checks them by itself
        assert await rows(store, "PRAGMA foreign_key_check") == []


async def test_the_key_of_the_last_is_forgotten_like_all_others(store: Database) -> None:
    keyed = msgspec.structs.replace(new_message(content="x"), idempotency_key="k")
    first = await storing.append(store, keyed)
    await age(store)
    assert await prune(store) == 1
    again = await storing.append(store, msgspec.structs.replace(keyed, content="y"))
    assert (again.id, again.content) == (first.id + 1, "y")


async def test_pruning_corrects_the_message_counts(store: Database) -> None:
    levels = [Visibility.PUBLIC, Visibility.PRIVATE, Visibility.PUBLIC, Visibility.ADMIN_ONLY]
    for level in levels:
        await storing.append(store, new_message(visibility=level))
    await store.write(DeleteMessage("room", 1, CLAUDE))  # 5
    await age(store, 1, 2, 3)
    await prune(store)
    found = await rows(store, "SELECT audience, messages FROM tallies ORDER BY audience")
    assert found == [("a", 1), ("p", 0), ("s:claude-main", 0)]


async def test_what_is_deleted_and_pruned_in_one_transaction_is_uncounted_once(
    store: Database,
) -> None:
    await storing.append(store, new_message())
    await storing.append(store, new_message())
    await age(store)
    await asyncio.gather(
        store.write(DeleteMessage("room", 1, CLAUDE)), store.write(PruneMessages([1]))
    )
    assert await rows(store, "SELECT messages FROM tallies") == [(1,)]


async def test_steps_and_looks_are_bounded_and_miss_nothing(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "STEP_MESSAGES", 3)
    monkeypatch.setattr(pruning, "SCAN_ROWS", 5)
    for _ in range(23):
        await storing.append(store, new_message())
    await age(store, *(id_ for id_ in range(1, 24) if id_ % 4))
    found = await store.read(partial(find_prunable, before=MOMENT, after=0))
    assert found == ([1, 2, 3], 3, 4, False)
    assert await prune(store, dry_run=True) == 18
    assert await prune(store) == 18
    assert await everything(store) == [4, 8, 12, 16, 20, 23]


async def test_a_message_of_a_wrong_clock_does_not_keep_what_comes_after_it(
    store: Database,
) -> None:
    for _ in range(4):
        await storing.append(store, new_message())
    await age(store, 1, 3)
    assert await prune(store) == 2
    assert await everything(store) == [2, 4]


async def test_a_message_added_between_the_look_and_the_step_takes_over_as_the_last(
    store: Database,
) -> None:
    await storing.append(store, new_message())
    await age(store)
    found = await store.read(partial(find_prunable, before=MOMENT, after=0))
    await storing.append(store, new_message(content="late"))
    await store.write(PruneMessages(found.ids))
    assert [message["content"] for message in await shown(store)] == ["late"]


async def test_readers_of_the_log_are_told_by_a_number(store: Database) -> None:
    await storing.append(store, new_message())
    await storing.append(store, new_message())
    assert (await storing.heads(store, 0)).pruned == 0
    await prune(store)
    assert (await storing.heads(store, 0)).pruned == 0
    await age(store)
    await prune(store)
    assert (await storing.heads(store, 0)).pruned == 1


@pytest.mark.sqlite
async def test_pruned_text_is_in_no_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        for _ in range(30):
            await storing.append(store, new_message(content=SECRET * 400, metadata={"k": SECRET}))
        await age(store)
        await prune(store)
        assert await store.checkpoint()
        assert SECRET.encode() not in everything_in(tmp_path)


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_position_among_what_was_pruned_leads_to_what_is_left(
    store: Database, after: int
) -> None:
    for _ in range(5):
        await storing.append(store, new_message())
    await age(store, 1, 2, 3)
    await prune(store)
    page = await storing.log_page(store, "room", after=after, limit=10, audience=CLAUDE)
    assert ([message.id for message in page.messages], page.through) == ([4, 5], 5)
    assert [message.prev for message in page.messages] == [3, 4]


def test_nothing_that_pruning_does_scans_a_table(tmp_path: Path) -> None:
    prepare(tmp_path / "partyline.db", SCHEMA, None)
    fields: dict[str, Any] = dict.fromkeys(
        ("ids", "before", "after", "rows", "session", "audience", "count", "now"), "[]"
    )
    statements = [pruning.FIND, pruning.LASTS, pruning.SESSIONS, tallies.PRUNED]
    statements += [*pruning.REMOVE, pruning.EMPTY]
    statements += [tallies.UNCOUNT, mention_rows.UNADVANCE, mention_rows.PRUNE, digests.PRUNE]
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as database:
        add_search_functions(database)
        for sql in statements:
            steps = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", fields)]
            assert not [s for s in steps if s.startswith("SCAN") and "json_each" not in s], steps


async def steps_of_a_prune(data_dir: Path, messages: int) -> int:
    """Instructions of SQLite's machine, in thousands, to prune 100 of so many messages."""
    async with opened(data_dir) as store:
        await storing.create_session(store, new_session())
        for number in range(messages):
            keyed = new_message(parent=number or None)
            await storing.append(store, msgspec.structs.replace(keyed, idempotency_key=str(number)))
        await age(store, *range(1, 101))
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    with closing(sqlite3.connect(data_dir / "partyline.db", isolation_level=None)) as database:
        database.execute("PRAGMA foreign_keys = ON")
        add_search_functions(database)
        database.set_progress_handler(count, 1_000)
        operations = [PruneMessages(list(range(1, 101)))]
        (outcome,) = commit(
            database,
            LogTail(),
            companions(data_dir, load_settings(data_dir=data_dir)),
            operations,
        ).outcomes
        assert outcome.error is None
        (left,) = database.execute("SELECT count(*) FROM messages").fetchone()
        assert left == messages - 100
    return counted


@pytest.mark.sqlite
async def test_a_step_costs_what_it_prunes_however_long_the_log(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Replies and keys refer to messages: without an index each deletion would look at them all."""
    short = await steps_of_a_prune(tmp_path_factory.mktemp("short"), 200)
    long = await steps_of_a_prune(tmp_path_factory.mktemp("long"), 2_000)
    assert long < 2 * short
