"""Must hold: SQL and `proto.visibility.may_see` show every reader the same messages."""

import asyncio
import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mcp_node.log.interface import Database
from mcp_node.storage import SCHEMA
from proto.messages import ANONYMOUS, Audience, Visibility
from proto.visibility import audience_key, may_see
from tests.mcp_node import storing
from tests.mcp_node.making import ADMIN, CLAUDE, CODEX, NOBODY, new_message, new_session, opened

pytestmark = pytest.mark.sqlite

# Names that could be taken for keys, for each other's, or for the ends of a range.
NAMES = ["a", "p", "s", "t", "a;", "p:a", "s:a", "t:", "t;", ANONYMOUS, "ops", "claude", "~"]
AUDIENCES = st.builds(
    Audience, st.sampled_from(NAMES), st.sampled_from(NAMES), is_admin=st.booleans()
)
MESSAGES = st.tuples(AUDIENCES, st.sampled_from(Visibility))

numbers = itertools.count()


@given(
    messages=st.lists(MESSAGES, min_size=1, max_size=25),
    readers=st.lists(AUDIENCES, min_size=1, max_size=8),
)
@example(
    messages=[(Audience(name, name), v) for name in NAMES for v in Visibility],
    readers=[
        Audience(name, kind, admin) for name in NAMES for kind in NAMES[:3] for admin in (0, 1)
    ]
    + [Audience(ANONYMOUS, ANONYMOUS), Audience("root", "ops", True)],
)
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_every_read_shows_exactly_what_may_be_seen(store: Database, messages, readers):
    room = f"room-{next(numbers)}"
    await storing.create_session(store, new_session(room))
    written = await asyncio.gather(
        *(
            storing.append(store, new_message(room, author=author, visibility=visibility))
            for author, visibility in messages
        )
    )
    for reader in readers:
        visible = [m for m in written if may_see(reader, m.visibility, m.principal, m.sender_type)]
        newest = await storing.page(store, room, reader, after=None, before=None, limit=1000)
        first = await storing.page(store, room, reader, after=0, before=None, limit=1000)
        log = await storing.log_page(store, room, after=0, limit=1000, audience=reader)
        assert newest.messages == first.messages == log.messages == visible
        for visibility in Visibility:
            some = await storing.page(
                store, room, reader, after=None, before=None, limit=1000, visibility=visibility
            )
            assert some.messages == [m for m in visible if m.visibility is visibility]
        (listing,) = await storing.list_sessions(
            store, reader, within=frozenset({room}), limit=1, active_since=None
        )
        made = (await storing.get_session(store, room)).created_at
        assert listing.last_activity == (visible[-1].timestamp if visible else made)
        assert listing.message_count == len(visible)


async def test_the_stored_key_is_the_key_of_the_rule(store: Database, tmp_path: Path):
    for name in NAMES:
        for visibility in Visibility:
            author = Audience(name, name[::-1])
            await storing.append(store, new_message(author=author, visibility=visibility))
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as connection:
        rows = connection.execute(
            "SELECT audience, visibility, principal, sender_type FROM messages"
        ).fetchall()
    assert len(rows) == len(NAMES) * len(Visibility)
    for key, visibility, principal, sender_type in rows:
        assert key == audience_key(Visibility(visibility), principal, sender_type)


async def test_replies_of_an_older_log_show_no_parent_that_others_may_not_see(tmp_path: Path):
    admin_only = Visibility.ADMIN_ONLY
    kinds = [(CLAUDE, v) for v in Visibility if v is not admin_only] + [(ADMIN, admin_only)]
    async with opened(tmp_path) as log:
        await storing.create_session(log, new_session())
        parents = [
            await storing.append(log, new_message(author=author, visibility=level))
            for author, level in kinds
        ]
        pairs = [
            (
                parent.id,
                (await storing.append(log, new_message(author=author, visibility=level))).id,
            )
            for parent in parents
            for author, level in kinds
            if may_see(author, parent.visibility, parent.principal, parent.sender_type)
        ]
    with closing(sqlite3.connect(tmp_path / "partyline.db")) as connection:
        for parent_id, reply_id in pairs:  # as they were taken then
            connection.execute(
                "UPDATE messages SET parent_message_id = ? WHERE id = ?", (parent_id, reply_id)
            )
        (statement,) = (
            s for steps in SCHEMA.versions for s in steps if "UPDATE messages AS" in str(s)
        )
        connection.execute(str(statement))
        connection.commit()
    async with opened(tmp_path) as log:
        page = await storing.log_page(log, "room", after=0, limit=1000, audience=None)
    messages = {message.id: message for message in page.messages}
    kept = 0
    for parent_id, reply_id in pairs:
        parent, reply = messages[parent_id], messages[reply_id]
        shown = reply.parent_message_id is not None
        kept += shown
        for reader in (CODEX, ADMIN, CLAUDE, NOBODY):
            sees = [
                may_see(reader, m.visibility, m.principal, m.sender_type) for m in (reply, parent)
            ]
            assert sees != [True, False] or not shown
        if parent.visibility in (Visibility.PUBLIC, reply.visibility):
            assert shown
    assert 0 < kept < len(pairs)
