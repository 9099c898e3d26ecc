"""Deleting a message: its texts go, an entry of the log says so, and it happens once."""

import asyncio
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mcp_node.log import database
from mcp_node.log.erasing import Eraser
from mcp_node.log.interface import Database
from mcp_node.log.sqlite import connection
from mcp_node.sessions.delete_message import DeleteMessage
from mcp_node.sessions.new import NewMessage
from proto.errors import (
    Forbidden,
    KeyReused,
    MessageNotFound,
    ParentNotFound,
    PartylineError,
    SessionNotFound,
)
from proto.messages import MAX_ID, Audience, Message, Visibility
from tests.mcp_node import storing
from tests.mcp_node.making import ADMIN, CLAUDE, CODEX, NOBODY, new_message, new_session, opened
from tests.waiting import PATIENCE, until

SECRET = "hunter2-is-the-password"


async def delete(store: Database, message_id: int, who: Audience = CLAUDE) -> None:
    await store.write(DeleteMessage("room", message_id, who))


async def shown(store: Database, who: Audience = CLAUDE) -> list[dict[str, Any]]:
    page = await storing.page(store, "room", who, after=0, before=None, limit=1000)
    return [message.shown() for message in page.messages]


def everything_in(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir())


async def rows(store: Database, sql: str) -> list[Any]:
    return await store.read(lambda connection: connection.execute(sql).fetchall())


async def change(store: Database, *statements: str) -> None:
    class Change:
        size = 1

        def apply(self, transaction: Any) -> None:
            for statement in statements:
                transaction.write(statement)

    await store.write(Change())


async def test_what_is_left_of_a_message_and_the_entry_that_says_so(store: Database) -> None:
    announced: list[Message] = []
    first = await storing.append(store, new_message(content=SECRET, metadata={"k": SECRET}))
    second = await storing.append(store, new_message(content="after"))
    store.on_commit(announced.extend)
    await delete(store, first.id)
    left, after = await shown(store)
    assert left == {**first.shown(), "content": "", "metadata": {}, "deleted": True}
    assert after == second.shown()
    assert "deleted" not in after
    (entry,) = announced
    assert (entry.id, entry.prev, entry.about) == (3, 2, first.id)
    assert (entry.content, bytes(entry.metadata)) == ("", b"{}")
    page = await storing.log_page(store, "room", after=0, limit=10, audience=None)
    assert [message.id for message in page.messages] == [1, 2, 3]
    assert page.messages[2] == entry
    assert page.messages[0].deleted and page.messages[0].content == ""
    assert await storing.session_head(store, "room") == 3


@pytest.mark.parametrize("visibility", list(Visibility))
async def test_the_entry_goes_to_those_who_saw_the_message(
    store: Database, visibility: Visibility
) -> None:
    await storing.append(store, new_message(author=ADMIN, visibility=visibility))
    await delete(store, 1, ADMIN)
    for who in (CLAUDE, CODEX, ADMIN, NOBODY, Audience("other", "ops")):
        page = await storing.log_page(store, "room", after=0, limit=10, audience=who)
        ids = [message.id for message in page.messages]
        assert ids == ([1, 2] if await shown(store, who) else [])


async def test_the_entry_is_the_senders_rights_under_the_name_of_who_deleted(
    store: Database,
) -> None:
    await storing.append(store, new_message(author=CODEX, visibility=Visibility.AGENT_ONLY))
    await delete(store, 1, ADMIN)
    (entry,) = (await storing.log_page(store, "room", after=1, limit=10, audience=None)).messages
    assert (entry.principal, entry.sender_type, entry.sender) == ("codex-1", "codex", "root")
    assert entry.visibility is Visibility.AGENT_ONLY


async def test_an_entry_that_deletes_is_in_no_page(store: Database) -> None:
    for _ in range(3):
        await storing.append(store, new_message())
    for message_id in (1, 2, 3):
        await delete(store, message_id)
    for arguments in (
        {"after": 0, "before": None},
        {"after": None, "before": None},
        {"after": None, "before": 100},
    ):
        page = await storing.page(store, "room", CLAUDE, limit=3, **arguments)
        assert [message.id for message in page.messages] == [1, 2, 3]
        assert not page.has_more
    by_sender = await storing.page(
        store, "room", CLAUDE, after=0, before=None, limit=10, sender="claude-main"
    )
    assert [message.id for message in by_sender.messages] == [1, 2, 3]


async def test_an_entry_that_deletes_is_no_activity(store: Database) -> None:
    said = await storing.append(store, new_message())
    await delete(store, 1)
    for who in (CLAUDE, ADMIN):
        (listed,) = await storing.list_sessions(store, who, within=None, limit=5, active_since=None)
        assert listed.last_activity == said.timestamp


async def test_deleting_again_changes_nothing(store: Database) -> None:
    await storing.append(store, new_message())
    await asyncio.gather(*(delete(store, 1, who) for who in (CLAUDE, ADMIN) * 20))
    await delete(store, 1)
    assert await storing.session_head(store, "room") == 2


@pytest.mark.parametrize(
    ("visibility", "who", "error"),
    [
        (Visibility.PUBLIC, CODEX, Forbidden),
        (Visibility.PUBLIC, NOBODY, Forbidden),
        (Visibility.PRIVATE, CODEX, MessageNotFound),
        (Visibility.PRIVATE, ADMIN, MessageNotFound),
        (Visibility.PRIVATE, NOBODY, MessageNotFound),
        (Visibility.AGENT_ONLY, CODEX, MessageNotFound),
        (Visibility.AGENT_ONLY, Audience("claude-2", "claude"), Forbidden),
        (Visibility.ADMIN_ONLY, CODEX, MessageNotFound),
        (Visibility.PUBLIC, ADMIN, None),
        (Visibility.AGENT_ONLY, ADMIN, None),
        (Visibility.PRIVATE, CLAUDE, None),
    ],
)
async def test_only_senders_and_admins_delete_what_they_see(
    store: Database,
    visibility: Visibility,
    who: Audience,
    error: type[PartylineError] | None,
) -> None:
    await storing.append(store, new_message(visibility=visibility))
    for _ in range(2):  # once it is deleted the answers are the same
        if error is None:
            await delete(store, 1, who)
            assert await storing.session_head(store, "room") == 2
            continue
        with pytest.raises(error):
            await delete(store, 1, who)
        assert await storing.session_head(store, "room") == 1


async def test_what_nobody_in_particular_said_only_an_admin_deletes(store: Database) -> None:
    await storing.append(store, new_message(author=NOBODY))
    with pytest.raises(Forbidden):
        await delete(store, 1, NOBODY)
    await delete(store, 1, ADMIN)
    assert (await shown(store))[0]["deleted"]


@pytest.mark.parametrize("message_id", [2, 3, 999, MAX_ID, MAX_ID + 1, 2**70, 0, -1])
async def test_what_is_no_message_of_the_session_is_not_found(
    store: Database, message_id: int
) -> None:
    await storing.create_session(store, new_session("other"))
    await storing.append(store, new_message())
    await storing.append(store, new_message("other"))
    await delete(store, 1)  # entry 3
    with pytest.raises(MessageNotFound):
        await delete(store, message_id)
    with pytest.raises(SessionNotFound):
        await store.write(DeleteMessage("nowhere", 1, CLAUDE))


async def test_one_may_reply_to_a_deleted_message_and_not_to_the_entry(
    store: Database,
) -> None:
    await storing.append(store, new_message())
    await storing.append(store, new_message(parent=1))
    await delete(store, 1)
    reply = await storing.append(store, new_message(parent=1))
    assert [message["parent_message_id"] for message in await shown(store)] == [None, 1, 1]
    assert reply.id == 4
    with pytest.raises(ParentNotFound):
        await storing.append(store, new_message(parent=3))


async def test_mentions_go_and_the_count_of_its_audience_shrinks(store: Database) -> None:
    await storing.append(store, new_message())
    await storing.append(store, new_message())
    await change(
        store,
        "INSERT INTO mentions VALUES ('room', 'bob', 1), ('room', 'bob', 2) ON CONFLICT DO NOTHING",
    )
    await delete(store, 1)
    await delete(store, 1)
    assert await rows(store, "SELECT audience, messages FROM tallies") == [("p", 1)]
    assert await rows(store, "SELECT message_id FROM mentions WHERE name = 'bob'") == [(2,)]


def keyed(content: str, visibility: Visibility = Visibility.PUBLIC) -> NewMessage:
    return msgspec.structs.replace(
        new_message(content=content, visibility=visibility), idempotency_key="k"
    )


async def test_a_retry_of_a_deleted_message_stores_nothing(store: Database) -> None:
    first = await storing.append(store, keyed("once"))
    with pytest.raises(KeyReused):
        await storing.append(store, keyed("twice"))
    await delete(store, first.id)
    again = await storing.append(store, keyed("once"))
    assert (again.id, again.timestamp) == (first.id, first.timestamp)
    assert await storing.session_head(store, "room") == 2


async def test_another_text_under_the_key_of_a_deleted_message_is_refused(
    store: Database,
) -> None:
    first = await storing.append(store, keyed("once"))
    await delete(store, first.id)
    for other in (
        keyed("twice"),
        keyed("once", Visibility.PRIVATE),
        msgspec.structs.replace(keyed("once"), metadata=msgspec.Raw(b'{"a":1}')),
        msgspec.structs.replace(keyed("once"), sender="claude-main/reviewer"),
        msgspec.structs.replace(keyed("once"), parent_message_id=1),
    ):
        with pytest.raises(KeyReused):
            await storing.append(store, other)
    assert await storing.session_head(store, "room") == 2


@pytest.mark.sqlite
async def test_what_was_said_cannot_be_guessed_from_the_database(tmp_path: Path) -> None:
    digests = []
    for log in ("one", "two"):
        (tmp_path / log).mkdir()
        async with opened(tmp_path / log) as store:
            await storing.create_session(store, new_session())
            await storing.append(store, keyed(SECRET))
            await delete(store, 1)
            digests += await rows(store, "SELECT digest FROM idempotency")
            secret = (tmp_path / log / "digests.key").read_bytes()
            await store.checkpoint()
            assert secret not in (tmp_path / log / "partyline.db").read_bytes()
    assert digests[0] != digests[1]


async def test_without_the_secret_or_a_digest_a_retry_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        await storing.append(store, keyed("once"))
        await delete(store, 1)
    async with opened(tmp_path) as store:
        assert (await storing.append(store, keyed("once"))).id == 1
    (tmp_path / "digests.key").unlink()
    async with opened(tmp_path) as store:
        with pytest.raises(KeyReused):
            await storing.append(store, keyed("once"))
        await change(store, "UPDATE idempotency SET digest = NULL")  # deleted by an older version
        with pytest.raises(KeyReused):
            await storing.append(store, keyed("once"))


async def test_a_message_added_in_the_same_transaction_can_be_deleted(
    store: Database,
) -> None:
    added, _ = await asyncio.gather(
        storing.append(store, new_message(content=SECRET)), delete(store, 1)
    )
    assert (await shown(store))[0] == {**added.shown(), "content": "", "deleted": True}


@pytest.mark.sqlite
@pytest.mark.parametrize("size", [100, 50_000])
async def test_its_text_is_in_no_file_once_the_write_ahead_log_is_empty(
    tmp_path: Path, size: int
) -> None:
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        for _ in range(3):
            await storing.append(store, new_message(content="." * 300))
        filler = (SECRET * (size // len(SECRET) + 1))[:size]
        said = await storing.append(store, new_message(content=filler, metadata={"k": SECRET}))
        await storing.append(store, new_message())
        assert await store.checkpoint()
        assert SECRET.encode() in everything_in(tmp_path)
        await delete(store, said.id)
        assert await store.checkpoint()
        assert SECRET.encode() not in everything_in(tmp_path)


@pytest.mark.sqlite
async def test_a_reader_does_not_hold_up_an_emptying_of_the_write_ahead_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = f"PRAGMA busy_timeout = {int(2_000 * PATIENCE)}"
    monkeypatch.setattr(connection, "WRITER_PRAGMAS", (*connection.WRITER_PRAGMAS, patient))
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        with closing(sqlite3.connect(tmp_path / "partyline.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM messages").fetchall()
            await storing.append(store, new_message())
            assert not await asyncio.wait_for(store.checkpoint(), PATIENCE)
            await asyncio.wait_for(storing.append(store, new_message()), PATIENCE)
        assert await store.checkpoint()


@pytest.mark.sqlite
async def test_a_deletion_empties_the_write_ahead_log_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "Eraser", partial(Eraser, pause=0.05))
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        await storing.append(store, new_message(content=SECRET))
        with closing(sqlite3.connect(tmp_path / "partyline.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT content FROM messages").fetchall() == [(SECRET,)]
            await delete(store, 1)
            assert SECRET.encode() in everything_in(tmp_path)  # the reader still needs it
        await until(lambda: SECRET.encode() not in everything_in(tmp_path))
        await storing.append(store, new_message(content="goes on"))
        assert await store.checkpoint()


async def test_a_store_closes_while_something_is_to_be_erased(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        await storing.append(store, new_message(content=SECRET))
        await delete(store, 1)
    assert SECRET.encode() not in everything_in(tmp_path)


async def test_deletion_survives_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        await storing.append(store, new_message(content=SECRET))
        await delete(store, 1)
    async with opened(tmp_path) as store:
        assert (await shown(store))[0]["deleted"]
        assert (await storing.append(store, new_message())).prev == 2
