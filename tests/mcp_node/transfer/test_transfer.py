"""A deployment is moved between SQLite and PostgreSQL: nothing is lost, and nobody notices."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from mcp_node.log.mark import MARK, Mark, read_mark, write_mark
from mcp_node.search.fts5 import add_search_functions
from mcp_node.services import Services
from mcp_node.transfer import copying
from proto.errors import ConfigurationError, KeyReused
from serving.process.lockfile import LockFile
from tests.mcp_node import storing
from tests.mcp_node.transfer.deployment import (
    ALICE,
    BOB,
    DIRECTIONS,
    fill,
    move,
    moved,
    running,
    seen,
    settings_of,
    write,
    write_together,
)

pytestmark = [
    pytest.mark.parametrize(("source", "target"), DIRECTIONS),
    pytest.mark.sqlite,  # and PostgreSQL, whichever engine the other tests use
]


class Stopped(Exception):
    """The move was stopped on purpose."""


def execute(data_dir: Path, engine: str, statement: str) -> None:
    """Run a statement behind the back of Partyline."""
    if engine == "sqlite":
        with closing(sqlite3.connect(data_dir / "partyline.db", isolation_level=None)) as lite:
            add_search_functions(lite)
            lite.execute(statement)
        return
    settings = settings_of(data_dir, engine)
    assert settings.store is not None
    with psycopg.connect(settings.store.get_secret_value(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("SET search_path TO {}").format(sql.Identifier(settings.store_schema))
        )
        connection.execute(statement)  # type: ignore[arg-type]


def remove(data_dir: Path, engine: str) -> None:
    """Do what the error says that removes a half-moved target."""
    if engine == "sqlite":
        (data_dir / "partyline.db").rename(data_dir / "away.db")
    else:
        schema = settings_of(data_dir, engine).store_schema
        execute(data_dir, engine, f"DROP SCHEMA {schema} CASCADE")


async def filled(data_dir: Path, engine: str) -> None:
    async with running(data_dir, engine) as (_, able):
        await fill(able)


async def refused(data_dir: Path, source: str, target: str) -> str:
    """Why the move is refused."""
    with pytest.raises(ConfigurationError) as refusal:
        await moved(data_dir, source, target)
    return str(refusal.value)


async def test_users_see_the_same_and_go_on_where_they_were(
    tmp_path: Path, source: str, target: str
) -> None:
    async with running(tmp_path, source) as (store, able):
        code = await fill(able)
        together = await write_together(able)
        before = await seen(store, able)
    lines = await moved(tmp_path, source, target)
    assert any(line.startswith("Next: ") for line in lines)
    async with running(tmp_path, target) as (store, able):
        assert await seen(store, able) == before
        for n in (0, 1):  # the first one was deleted since: a retry is recognised all the same
            assert (await write(able, n)).id == n + 1
        assert await write_together(able) == together
        with pytest.raises(KeyReused):
            await able.sessions.add_message(ALICE, "room", "other", idempotency_key="key 0")
        head = before["heads"].head
        new = await able.sessions.add_message(BOB, "room", "xylophone")
        assert (new.id, new.prev) == (head + 1, head)
        assert await able.inbox.unread(ALICE, "room") == before["alice: unread room"] + 1
        (revoked,) = await storing.revoke(store, token_id=None, agent_id="eve")
        assert revoked.number == before["revocations"][-1].number + 1
        assert (await able.links.redeem(code)).link.session_id == "room"
        await able.memory.set(ALICE, "a new key", 1)
        assert (await able.memory.newest(ALICE))["memories"][0]["key"] == "a new key"
        assert await _found(able, "xylophone") == [head + 1]
        assert 4 in await _found(able, "number 3")
        await able.deletion.delete_message(ALICE, "room", 4)
        assert 4 not in await _found(able, "number 3")


async def _found(able: Services, query: str) -> list[int]:
    found = await able.search.search_messages(ALICE, query, limit=50)
    return [hit["message_id"] for hit in found["results"]]


async def test_a_move_that_is_stopped_anywhere_goes_on(
    tmp_path: Path, source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after each line it prints, of which there is one for each transaction."""
    monkeypatch.setattr(copying, "BATCH_ROWS", 7)
    monkeypatch.setattr(copying, "REPORT_SECONDS", 0.0)
    async with running(tmp_path, source) as (store, able):
        await fill(able)
        before = await seen(store, able)

    def move_until(stop: int) -> bool:
        """Whether it is finished after that many lines."""
        lines: list[str] = []

        def say(line: str) -> None:
            lines.append(line)
            if len(lines) == stop:
                raise Stopped

        with suppress(Stopped):
            move(tmp_path, source, target, say)
        return any(line.startswith("Moved") for line in lines)

    stops = 0
    while not await asyncio.to_thread(move_until, 3 + stops // 2):
        stops += 1
        assert stops < 100
        if stops % 5 == 1:
            with pytest.raises(ConfigurationError, match="migrate that has not finished"):
                async with running(tmp_path, target):
                    pass
    assert stops > 10
    async with running(tmp_path, target) as (store, able):
        assert await seen(store, able) == before


async def test_a_process_killed_within_a_transaction_leaves_what_another_one_continues(
    tmp_path: Path, source: str, target: str
) -> None:
    async with running(tmp_path, source) as (store, able):
        await fill(able, 60)
        before = await seen(store, able)
    settings = settings_of(tmp_path, "postgresql")
    assert settings.store is not None
    environment = {name: v for name, v in os.environ.items() if not name.startswith("PARTYLINE_")}
    environment |= {
        "PARTYLINE_DATA_DIR": str(tmp_path),
        "PARTYLINE_STORE": settings.store.get_secret_value(),
        "PARTYLINE_STORE_SCHEMA": settings.store_schema,
    }
    codes = []
    for rows in (3, 45, 1_000_000):
        command = [sys.executable, "-m", "tests.mcp_node.transfer.killed_after", str(rows)]
        process = await asyncio.create_subprocess_exec(
            *command, source, target, env=environment, stdout=subprocess.DEVNULL
        )
        codes.append(await process.wait())
    assert codes == [-signal.SIGKILL] * 2 + [0]
    async with running(tmp_path, target) as (store, able):
        assert await seen(store, able) == before


async def test_a_running_node_is_not_moved_and_not_moved_over(
    tmp_path: Path, source: str, target: str
) -> None:
    await filled(tmp_path, source)
    with LockFile(tmp_path / "mcp.lock", "mcp_node"):
        assert "another mcp_node" in await refused(tmp_path, source, target)
    async with running(tmp_path, "postgresql"):  # as from another machine: without the lock file
        assert "an mcp_node uses the schema" in await refused(tmp_path, source, target)


async def test_while_it_moves_no_node_starts(tmp_path: Path, source: str, target: str) -> None:
    await filled(tmp_path, source)
    loop, told = asyncio.get_running_loop(), []

    async def start() -> None:
        with pytest.raises(ConfigurationError, match="partyline migrate is moving the log"):
            async with running(tmp_path, "postgresql"):
                pass
        with pytest.raises(ConfigurationError, match="another mcp_node"):
            LockFile(tmp_path / "mcp.lock", "mcp_node").acquire()

    def say(line: str) -> None:
        if line == "Copying:":
            told.append(line)
            asyncio.run_coroutine_threadsafe(start(), loop).result()

    await asyncio.to_thread(move, tmp_path, source, target, say)
    assert told


async def test_data_of_another_deployment_is_not_touched(
    tmp_path: Path, source: str, target: str
) -> None:
    await filled(tmp_path, source)
    async with running(tmp_path, target) as (_, able):
        await able.memory.set(ALICE, "key", "mine")
    assert "the data of another deployment" in await refused(tmp_path, source, target)
    async with running(tmp_path, target) as (_, able):
        assert (await able.memory.get(ALICE, "key"))["value"] == "mine"


async def test_a_target_that_a_node_made_but_nobody_used_is_taken(
    tmp_path: Path, source: str, target: str
) -> None:
    async with running(tmp_path, source) as (store, able):
        await fill(able)
        before = await seen(store, able)
    async with running(tmp_path, target):
        pass
    await moved(tmp_path, source, target)
    async with running(tmp_path, target) as (store, able):
        assert await seen(store, able) == before


async def test_moving_again_compares_until_one_side_is_used(
    tmp_path: Path, source: str, target: str
) -> None:
    await filled(tmp_path, source)
    await moved(tmp_path, source, target)
    lines = await moved(tmp_path, source, target)
    assert "Copying:" not in lines
    assert any(line.startswith("Was moved before") for line in lines)
    async with running(tmp_path, target):
        pass
    assert "the data of this deployment" in await refused(tmp_path, source, target)


async def test_a_source_that_was_used_after_an_interruption_is_not_mixed_with_the_part_moved(
    tmp_path: Path, source: str, target: str
) -> None:
    await filled(tmp_path, source)

    def say(line: str) -> None:
        if "tallies" in line:
            raise Stopped

    with pytest.raises(Stopped):
        await asyncio.to_thread(move, tmp_path, source, target, say)
    async with running(tmp_path, source) as (store, able):
        await able.memory.delete(ALICE, "key 9")
        before = await seen(store, able)
    assert "that log was used since" in await refused(tmp_path, source, target)
    await asyncio.to_thread(remove, tmp_path, target)
    await moved(tmp_path, source, target)
    async with running(tmp_path, target) as (store, able):
        assert await seen(store, able) == before


@pytest.mark.parametrize(
    ("alteration", "reported"),
    [
        ("UPDATE messages SET content = 'altered' WHERE id = 5", "messages of room: 33 rows on"),
        ("UPDATE messages SET visibility = 'public' WHERE id = 2", "messages of room: 33 rows on"),
        ("DELETE FROM messages WHERE id = 33", "messages of closed: 1 rows in the source, 0"),
        ("UPDATE readers SET position = 1 WHERE principal = 'bob'", "readers: "),
        ("UPDATE revocations SET issued_until = 1", "revocations: 1 rows on both sides"),
    ],
)
async def test_a_copy_that_differs_is_reported_and_not_usable(
    tmp_path: Path, source: str, target: str, alteration: str, reported: str
) -> None:
    await filled(tmp_path, source)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if line == "Comparing both sides:" and len(lines) > 3:
            execute(tmp_path, target, alteration)

    with pytest.raises(ConfigurationError, match="not an exact copy"):
        await asyncio.to_thread(move, tmp_path, source, target, say)
    assert any(line.startswith(f"  DIFFERENT  {reported}") for line in lines), lines
    with pytest.raises(ConfigurationError, match="migrate that has not finished"):
        async with running(tmp_path, target):
            pass
    assert "not an exact copy" in await refused(tmp_path, source, target)


async def test_a_log_that_lost_messages_gets_a_new_epoch(
    tmp_path: Path, source: str, target: str
) -> None:
    await filled(tmp_path, source)
    mark = read_mark(tmp_path / MARK)
    assert mark is not None
    write_mark(tmp_path / MARK, Mark(mark.epoch, mark.id + 1))
    lines = await moved(tmp_path, source, target)
    assert any("it gets a new epoch" in line for line in lines)
    async with running(tmp_path, target) as (store, _):
        assert store.epoch != mark.epoch


async def test_a_source_of_an_older_schema_is_left_to_its_node(
    tmp_path: Path, source: str, target: str
) -> None:
    assert "there is no log in" in await refused(tmp_path, source, target)
    await filled(tmp_path, source)
    for version, reason in ((1, "an older Partyline"), (99, "a newer Partyline")):
        older = {
            "sqlite": f"PRAGMA user_version = {version}",
            "postgresql": f"UPDATE meta SET value = '{version}' WHERE name = 'schema'",
        }
        await asyncio.to_thread(execute, tmp_path, source, older[source])
        assert reason in await refused(tmp_path, source, target)
    assert not (tmp_path / "partyline.db").exists() or source == "sqlite"
