"""Pages against a model: the newest, after, before and between, with has_more in each."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_node.log.interface import Database
from mcp_node.sessions import reads
from mcp_node.sessions.reads import Page
from proto.messages import MAX_ID, Audience, Message, Visibility
from proto.visibility import may_see
from tests.mcp_node import storing
from tests.mcp_node.making import ADMIN, CLAUDE, CODEX, NOBODY, new_message, new_session, opened

BOUND = st.none() | st.integers(-2, 70) | st.sampled_from([MAX_ID, 2**63, 2**80, -(2**80)])


def model(log: list[Message], reader: Audience, after, before, limit, sender, visibility) -> Page:
    """What `Store.page` promises, in so many words."""
    visible = [
        m
        for m in log
        if may_see(reader, m.visibility, m.principal, m.sender_type)
        and (after is None or m.id > after)
        and (before is None or m.id < before)
        and sender in (None, m.sender)
        and visibility in (None, m.visibility)
    ]
    page = visible[:limit] if after is not None else visible[-limit:]
    return Page(page, len(visible) > limit)


@pytest.fixture
async def log(store: Database) -> list[Message]:
    """Sixty messages of all kinds in two sessions; those of ``room``."""
    await storing.create_session(store, new_session("other"))
    written = [
        await storing.append(
            store,
            new_message(
                "other" if number % 5 == 4 else "room",
                f"message {number}",
                author=(CLAUDE, CODEX, ADMIN)[number % 3],
                sender="both" if number % 7 == 0 else None,
                visibility=list(Visibility)[number * 7 % 11 % 4],
            ),
        )
        for number in range(60)
    ]
    return [message for message in written if message.session_id == "room"]


@given(
    reader=st.sampled_from([CLAUDE, CODEX, ADMIN, NOBODY]),
    after=BOUND,
    before=BOUND,
    limit=st.integers(1, 70),
    sender=st.sampled_from([None, None, "both", "claude-main", "nobody"]),
    visibility=st.none() | st.sampled_from(Visibility),
)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_a_page_is_what_the_model_says(
    store: Database, log, reader, after, before, limit, sender, visibility
):
    page = await storing.page(
        store,
        "room",
        reader,
        after=after,
        before=before,
        limit=limit,
        sender=sender,
        visibility=visibility,
    )
    assert page == model(log, reader, after, before, limit, sender, visibility)


@pytest.mark.parametrize("reader", [CLAUDE, ADMIN, NOBODY])
async def test_paging_either_way_visits_everything_once(store: Database, log, reader):
    whole = model(log, reader, None, None, 1000, None, None).messages
    forward, after, more = [], 0, True
    while more:
        page = await storing.page(store, "room", reader, after=after, before=None, limit=7)
        forward += page.messages
        after, more = page.messages[-1].id, page.has_more
    backward, before, more = [], None, True
    while more:
        page = await storing.page(store, "room", reader, after=None, before=before, limit=7)
        backward = page.messages + backward
        before, more = page.messages[0].id, page.has_more
    assert forward == backward == whole


async def test_an_unknown_session_has_no_messages(store: Database, log):
    for reader in (CLAUDE, ADMIN):
        page = await storing.page(store, "nowhere", reader, after=None, before=None, limit=5)
        assert page == Page([], False)


async def test_an_admin_reads_more_agent_types_than_one_statement_holds(store: Database):
    authors = [Audience(f"agent-{n}", f"type-{n * 37 % 100:03}") for n in range(100)]
    written = await asyncio.gather(
        *(
            storing.append(store, new_message(author=a, visibility=Visibility.AGENT_ONLY))
            for a in authors
        )
    )
    newest = await storing.page(store, "room", ADMIN, after=None, before=None, limit=60)
    assert newest == Page(written[-60:], True)
    first = await storing.page(store, "room", ADMIN, after=0, before=None, limit=60)
    assert first == Page(written[:60], True)
    log = await storing.log_page(store, "room", after=0, limit=1000, audience=ADMIN)
    assert log.messages == written


async def test_a_page_of_very_long_messages_ends_early_and_says_so(tmp_path: Path):
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        long = "x" * (reads.PAGE_CHARS // 3)
        written = [await storing.append(store, new_message(content=long)) for _ in range(5)]
        page = await storing.page(store, "room", NOBODY, after=0, before=None, limit=5)
        assert page == Page(written[:3], True)
        page = await storing.page(store, "room", NOBODY, after=None, before=None, limit=5)
        assert page == Page(written[2:], True)
        log = await storing.log_page(store, "room", after=0, limit=5, audience=None)
        assert (log.messages, log.through, log.head) == (written[:3], 3, 5)
        log = await storing.log_page(store, "room", after=3, limit=5, audience=None)
        assert (log.messages, log.through) == (written[3:], 5)
