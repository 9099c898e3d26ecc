"""Group commit under faults: real ones, made with triggers, limits and locks."""

import asyncio
import logging
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mcp_node.log import tail, writer
from mcp_node.log.interface import Database
from mcp_node.log.transaction import Transaction
from proto.errors import Overloaded, ParentNotFound, SessionNotFound, Unavailable
from tests.mcp_node import storing
from tests.mcp_node.making import NOBODY, everything, new_message, new_session, opened


def refuse(tmp_path: Path, content: str) -> None:
    """Have the database refuse messages with that content."""
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON messages"
            f" WHEN new.content = '{content}' BEGIN SELECT raise(ABORT, 'refused'); END"
        )


@contextmanager
def full_disk(data_dir: Path) -> Iterator[None]:
    """The WAL cannot grow: writes at its end fail with EFBIG (Python ignores the signal)."""
    limit = (data_dir / "partyline.db-wal").stat().st_size
    assert limit > 300_000  # or other files of this process could not be written either
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.sqlite
async def test_one_bad_row_fails_alone(store: Database, tmp_path: Path, caplog):
    refuse(tmp_path, "secret words")
    contents = [f"good {n}" for n in range(9)]
    contents.insert(4, "secret words")
    announced = []
    store.on_commit(announced.extend)
    with caplog.at_level(logging.DEBUG):
        results = await asyncio.gather(
            *(storing.append(store, new_message(content=content)) for content in contents),
            storing.append(store, new_message("nowhere")),
            storing.append(store, new_message(parent=4)),
            storing.append(store, new_message(parent=999)),
            return_exceptions=True,
        )
    assert isinstance(results[4], Unavailable)
    assert isinstance(results[10], SessionNotFound)
    assert isinstance(results[12], ParentNotFound)
    good = [r for r in results if not isinstance(r, Exception)]
    assert [m.id for m in good] == list(range(1, 11))
    assert [m.prev for m in good] == list(range(10))
    assert announced == good
    assert await everything(store) == list(range(1, 11))
    assert "secret" not in caplog.text
    assert (await storing.append(store, new_message())).prev == 10
    assert store.pending == 0


async def test_text_that_is_not_unicode_fails_alone_and_is_not_logged(store: Database, caplog):
    good, bad = await asyncio.gather(
        storing.append(store, new_message()),
        storing.append(store, new_message(content="secret \ud800")),
        return_exceptions=True,
    )
    assert isinstance(bad, Unavailable)
    assert bad.__cause__ is None
    assert good.id == 1
    assert "secret" not in caplog.text
    assert "d800" not in caplog.text


class WriteThenRefuse:
    """An operation that breaks the rule: it refuses after it has written."""

    size = 1

    def apply(self, transaction: Transaction) -> None:
        transaction.write("DELETE FROM meta WHERE name = 'scratch'")
        transaction.write("INSERT INTO meta VALUES ('scratch', 'left behind')")
        raise SessionNotFound


@pytest.mark.sqlite
async def test_an_operation_that_refuses_after_writing_leaves_nothing(
    store: Database, tmp_path: Path
):
    first, refused, last = await asyncio.gather(
        storing.append(store, new_message()),
        store.write(WriteThenRefuse()),
        storing.append(store, new_message()),
        return_exceptions=True,
    )
    assert isinstance(refused, SessionNotFound)
    assert (first.id, last.id) == (1, 2)
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as connection:
        assert connection.execute("SELECT name FROM meta").fetchall() == [("epoch",)]


@pytest.mark.sqlite
async def test_a_commit_that_fails_fails_whole_and_the_next_one_works(
    store: Database, tmp_path: Path, caplog
):
    announced = []
    store.on_commit(announced.extend)
    kept = await storing.append(store, new_message(content="x" * 300_000))
    with full_disk(tmp_path):
        results = await asyncio.gather(
            *(storing.append(store, new_message(content="secret" * 1000)) for _ in range(5)),
            storing.create_session(store, new_session("lost")),
            return_exceptions=True,
        )
    assert [type(result) for result in results] == [Unavailable] * 6
    assert announced == [kept]
    assert store.pending == 0
    assert "commit of 6 writes failed" in caplog.text
    assert "secret" not in caplog.text

    again = await storing.append(store, new_message())
    assert (again.id, again.prev) == (2, 1)
    assert await everything(store) == [1, 2]
    with pytest.raises(SessionNotFound):
        await storing.append(store, new_message("lost"))


@pytest.mark.sqlite
async def test_what_failed_to_commit_does_not_come_back_after_a_restart(tmp_path: Path):
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        await storing.append(store, new_message(content="x" * 300_000))
        with full_disk(tmp_path), pytest.raises(Unavailable):
            await storing.append(store, new_message(content="y" * 10_000))
    async with opened(tmp_path) as store:
        assert await everything(store) == [1]


@pytest.mark.sqlite
async def test_a_write_waits_for_another_programs_lock(store: Database, tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "partyline.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        write = asyncio.create_task(storing.append(store, new_message()))
        await asyncio.wait({write}, timeout=0.05)
        assert not write.done()
        assert store.pending == 1
        other.execute("ROLLBACK")
        assert (await write).id == 1


async def test_too_many_waiting_writes_are_refused_and_the_others_stored(tmp_path: Path):
    async with opened(tmp_path, max_pending_writes=10) as store:
        await storing.create_session(store, new_session())
        results = await asyncio.gather(
            *(storing.append(store, new_message()) for _ in range(25)), return_exceptions=True
        )
        assert [type(result) for result in results[10:]] == [Overloaded] * 15
        assert [result.id for result in results[:10]] == list(range(1, 11))
        assert (await storing.append(store, new_message())).id == 11


async def test_too_many_waiting_bytes_are_refused(tmp_path: Path):
    async with opened(tmp_path, max_pending_write_bytes=1_048_576) as store:
        await storing.create_session(store, new_session())
        # Three bytes each in UTF-8: bytes count, not characters.
        results = await asyncio.gather(
            *(storing.append(store, new_message(content="€" * 100_000)) for _ in range(5)),
            return_exceptions=True,
        )
        assert [type(result) for result in results[3:]] == [Overloaded] * 2
        assert [result.id for result in results[:3]] == [1, 2, 3]
        assert store.pending == 0
        assert (await storing.append(store, new_message(content="€" * 100_000))).id == 4


async def test_a_batch_is_bounded_by_count_and_by_bytes(tmp_path: Path):
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        batches: list[int] = []
        store.on_commit(lambda messages: batches.append(len(messages)))
        count = writer.BATCH_OPERATIONS
        await asyncio.gather(*(storing.append(store, new_message()) for _ in range(count + 3)))
        assert batches == [count, 3]
        batches.clear()
        third = "x" * (writer.BATCH_BYTES // 3)
        whole = "x" * (writer.BATCH_BYTES + 1)
        contents = [third, third, third, whole, "small"]
        await asyncio.gather(*(storing.append(store, new_message(content=c)) for c in contents))
        assert batches == [2, 1, 1, 1]


async def test_listeners_hear_of_a_commit_before_its_writers(store: Database):
    heard: list[int] = []
    order: list[str] = []
    store.on_commit(lambda messages: heard.extend(m.id for m in messages))
    store.on_commit(lambda messages: order.extend(f"heard {m.id}" for m in messages))

    async def write() -> None:
        message = await storing.append(store, new_message())
        assert message.id in heard
        order.append(f"answered {message.id}")

    await asyncio.gather(*(write() for _ in range(30)))
    assert heard == list(range(1, 31))
    for number in heard:
        assert order.index(f"heard {number}") < order.index(f"answered {number}")


async def test_a_listener_that_raises_is_logged_and_harms_nobody(store: Database, caplog):
    heard = []

    def broken(messages) -> None:
        raise RuntimeError(messages[0].content)

    store.on_commit(broken)
    store.on_commit(heard.extend)
    message = await storing.append(store, new_message(content="secret"))
    assert heard == [message]
    assert "commit listener failed: RuntimeError" in caplog.text
    assert "secret" not in caplog.text


async def test_a_write_cancelled_while_it_waits_is_never_stored(store: Database):
    tasks = [
        asyncio.create_task(storing.append(store, new_message(content=str(n)))) for n in range(5)
    ]
    await asyncio.sleep(0)  # all are queued, none is taken
    assert store.pending == 5
    tasks[2].cancel()
    await asyncio.wait(tasks)
    page = await storing.page(store, "room", NOBODY, after=0, before=None, limit=10)
    assert [(m.id, m.content) for m in page.messages] == [(1, "0"), (2, "1"), (3, "3"), (4, "4")]
    assert store.pending == 0


async def test_closing_commits_what_is_pending_and_refuses_what_comes(tmp_path: Path):
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        writes = [asyncio.create_task(storing.append(store, new_message())) for _ in range(700)]
        await asyncio.sleep(0)
        await asyncio.gather(store.close(), store.close())
        assert [write.result().id for write in writes] == list(range(1, 701))
        with pytest.raises(Unavailable):
            await storing.append(store, new_message())
        with pytest.raises(Unavailable):
            await storing.session_head(store, "room")
    async with opened(tmp_path) as store:
        assert store.starts[-1].head == 700


async def test_sessions_beyond_the_cache_keep_their_chain(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(tail, "CACHED_SESSIONS", 3)
    async with opened(tmp_path) as store:
        rooms = [f"room-{n}" for n in range(8)]
        for room in rooms:
            await storing.create_session(store, new_session(room))
        for turn in range(3):
            for number, room in enumerate(rooms):
                message = await storing.append(store, new_message(room))
                assert message.prev == (message.id - 8 if turn else 0), number


@pytest.mark.sqlite
async def test_a_read_of_a_damaged_log_is_unavailable_and_tells_nothing(
    store: Database, tmp_path: Path, caplog
):
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as connection:
        connection.execute("DROP INDEX messages_by_audience")
    with pytest.raises(Unavailable) as refusal:
        await storing.page(store, "room", NOBODY, after=0, before=None, limit=1)
    assert "messages_by_audience" not in str(refusal.value)
    assert "a read failed: OperationalError" in caplog.text
    assert await storing.session_head(store, "room") == 0
