"""Must hold: what a reader may not see changes nothing of what a search answers."""

import itertools
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_node.log.interface import Database
from mcp_node.search.finding import Found
from proto.messages import Audience, Visibility
from proto.visibility import may_see
from tests.mcp_node import storing
from tests.mcp_node.making import ADMIN, CLAUDE, CODEX, NOBODY, new_message, new_session, opened
from tests.mcp_node.search.searching import IndexNow, search

ROOMS = ("room", "other", "closed")
AUTHORS = (CLAUDE, CODEX, ADMIN, Audience("claude-2", "claude"))
# Words that are each other's typing errors, and beginnings of each other.
WORDS = ("router", "routers", "ruoter", "outer", "rooter", "table", "tables", "cable", "今天")
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
MESSAGES = st.lists(
    st.tuples(st.sampled_from(ROOMS), st.sampled_from(AUTHORS), st.sampled_from(Visibility), TEXTS),
    min_size=1,
    max_size=20,
)
QUERIES = ("router", "routre", "tabel", "rout*", '"router table"', "cable outr", "今", "tables")
READERS = st.sampled_from((CLAUDE, CODEX, NOBODY, ADMIN))
WITHIN = st.sampled_from((None, frozenset({"room"}), frozenset({"room", "other"})))

numbers = itertools.count()


def shown(found: Found) -> object:
    """Everything of an answer but ids and times, which tell how much is written."""
    hits = [
        (h.session_id.split("-")[0], h.sender, h.sender_type, h.visibility, h.snippet)
        for h in found.hits
    ]
    return hits, found.has_more, found.corrected


async def fill(store: Database, messages: list[tuple[str, Audience, Visibility, str]]) -> None:
    for room in ROOMS:
        await storing.create_session(store, new_session(room))
    half = len(messages) // 2
    for place, (room, author, visibility, text) in enumerate(messages):
        await storing.append(store, new_message(room, text, author=author, visibility=visibility))
        if place == half:
            await store.write(IndexNow())


@given(messages=MESSAGES, reader=READERS, within=WITHIN, limit=st.integers(1, 4))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_answers_are_the_same_without_what_is_hidden(
    tmp_path: Path,
    messages: list[tuple[str, Audience, Visibility, str]],
    reader: Audience,
    within: frozenset[str] | None,
    limit: int,
) -> None:
    visible = [
        (room, author, visibility, text)
        for room, author, visibility, text in messages
        if may_see(reader, visibility, author.agent_id, author.agent_type)
        and (within is None or room in within)
    ]
    answers = []
    for some in (messages, visible):
        directory = tmp_path / str(next(numbers))
        directory.mkdir()
        async with opened(directory) as store:
            await fill(store, some)
            answers.append(
                [
                    shown(await search(store, query, reader, within=within, limit=limit, **more))
                    for query in QUERIES
                    for more in ({}, {"sender": "codex-1"})
                ]
            )
    assert answers[0] == answers[1]
    first = [hits for hits, _, _ in answers[0][::2]]
    assert any(first) is any(word in text for _, _, _, text in visible for word in WORDS)
