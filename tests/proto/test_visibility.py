"""The one rule: its truth table, and that keys for the store say the same."""

import sqlite3

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proto.messages import ANONYMOUS, Audience, Visibility
from proto.visibility import (
    KEY_RANGE_ALL_TYPES,
    SQL_AUDIENCE_KEY,
    SQL_REPLY_FITS,
    audience_key,
    held_keys,
    holds_all_types,
    may_see,
    reply_fits,
)

PRINCIPAL, TYPE = "claude-main", "claude"

AUTHOR = Audience(PRINCIPAL, TYPE)
SAME_TYPE = Audience("claude-two", TYPE)
OTHER_TYPE = Audience("codex-main", "codex")
ADMIN = Audience("root-agent", "operator", is_admin=True)
GUEST = Audience("guest:17", "guest")
NOBODY = Audience(ANONYMOUS, ANONYMOUS)
READERS = {
    "author": AUTHOR,
    "same type": SAME_TYPE,
    "other type": OTHER_TYPE,
    "admin": ADMIN,
    "guest": GUEST,
    "anonymous": NOBODY,
}
SEEN_BY = {
    Visibility.PUBLIC: set(READERS),
    Visibility.PRIVATE: {"author"},
    Visibility.AGENT_ONLY: {"author", "same type", "admin"},
    Visibility.ADMIN_ONLY: {"admin"},
}

words = st.sampled_from(["a", "b", "t:a", "s:a", "p", "guest:1", ANONYMOUS]) | st.text(max_size=4)
audiences = st.builds(Audience, words, words, st.booleans())
levels = st.sampled_from(Visibility)


@pytest.mark.parametrize("level", Visibility)
@pytest.mark.parametrize("reader", READERS)
def test_readers_see_what_the_truth_table_says(level: Visibility, reader: str) -> None:
    assert may_see(READERS[reader], level, PRINCIPAL, TYPE) is (reader in SEEN_BY[level])


@pytest.mark.parametrize("level", [v for v in Visibility if v is not Visibility.PUBLIC])
def test_anonymous_matches_nobody_whatever_else_it_claims(level: Visibility) -> None:
    pretender = Audience(ANONYMOUS, TYPE, is_admin=True)
    assert not may_see(pretender, level, PRINCIPAL, TYPE)
    assert not may_see(pretender, level, ANONYMOUS, ANONYMOUS)


def test_an_admin_does_not_see_what_is_private_to_another() -> None:
    assert not may_see(ADMIN, Visibility.PRIVATE, PRINCIPAL, ADMIN.agent_type)


def test_an_admins_own_private_message_is_its_own() -> None:
    assert may_see(ADMIN, Visibility.PRIVATE, ADMIN.agent_id, ADMIN.agent_type)


def test_writing_admin_only_does_not_make_one_an_admin() -> None:
    assert not may_see(AUTHOR, Visibility.ADMIN_ONLY, PRINCIPAL, TYPE)


def test_a_principal_with_the_name_of_a_type_gains_nothing() -> None:
    assert not may_see(Audience(TYPE, "codex"), Visibility.AGENT_ONLY, PRINCIPAL, TYPE)
    assert not may_see(Audience("x", PRINCIPAL), Visibility.PRIVATE, PRINCIPAL, TYPE)


@given(audiences, levels, words, words)
def test_keys_agree_with_the_rule(
    audience: Audience, level: Visibility, principal: str, sender_type: str
) -> None:
    low, high = KEY_RANGE_ALL_TYPES
    key = audience_key(level, principal, sender_type)
    held = key in held_keys(audience) or (holds_all_types(audience) and low <= key < high)
    assert held is may_see(audience, level, principal, sender_type)


@given(audiences, st.lists(st.tuples(levels, words, words), max_size=8))
def test_sqlite_agrees_with_the_rule(
    audience: Audience, rows: list[tuple[Visibility, str, str]]
) -> None:
    rows = [row for row in rows if row[1].isprintable() and row[2].isprintable()]
    held = [key for key in held_keys(audience) if key.isprintable()]
    database = sqlite3.connect(":memory:")
    try:
        database.execute(
            "CREATE TABLE m (n, visibility TEXT, principal TEXT, sender_type TEXT,"
            f" audience_key TEXT AS ({SQL_AUDIENCE_KEY}) STORED)"
        )
        database.executemany(
            "INSERT INTO m VALUES (?, ?, ?, ?)",
            [(n, str(level), principal, kind) for n, (level, principal, kind) in enumerate(rows)],
        )
        keys = [key for (key,) in database.execute("SELECT audience_key FROM m ORDER BY n")]
        assert keys == [audience_key(*row) for row in rows]
        bounds = KEY_RANGE_ALL_TYPES if holds_all_types(audience) else ("", "")
        seen = database.execute(
            f"SELECT n FROM m WHERE audience_key IN ({','.join('?' * len(held))})"
            " OR (audience_key >= ? AND audience_key < ?) ORDER BY n",
            (*held, *bounds),
        ).fetchall()
    finally:
        database.close()
    assert [n for (n,) in seen] == [n for n, row in enumerate(rows) if may_see(audience, *row)]


@given(audiences)
def test_a_reader_holds_few_distinct_keys(audience: Audience) -> None:
    keys = held_keys(audience)
    assert len(keys) == len(set(keys)) <= 3
    assert "p" in keys


@st.composite
def replies(draw: st.DrawFn) -> tuple[Audience, Visibility, tuple[Visibility, str, str]]:
    """The author of a reply, its visibility, and the message answered, which the author sees."""
    author, level = draw(audiences), draw(levels)
    parent = (draw(levels), draw(words | st.just(author.agent_id)), draw(words))
    assume(may_see(author, *parent))
    assume(author.agent_id != ANONYMOUS or level is Visibility.PUBLIC)
    return author, level, parent


@given(replies(), st.lists(audiences, max_size=4))
def test_a_reply_fits_exactly_if_nobody_sees_it_who_may_not_see_its_parent(
    reply: tuple[Audience, Visibility, tuple[Visibility, str, str]], readers: list[Audience]
) -> None:
    author, level, parent = reply
    said = (level, author.agent_id, author.agent_type)
    others = [
        *readers,
        *(Audience(f"{author.agent_id}+", kind) for kind in (author.agent_type, parent[2])),
        Audience(f"{author.agent_id}+", f"{author.agent_type}+{parent[2]}", is_admin=True),
        NOBODY,
    ]
    others = [each for each in others if each.agent_id != author.agent_id]
    leaks = any(may_see(each, *said) and not may_see(each, *parent) for each in others)
    assert reply_fits(audience_key(*said), audience_key(*parent)) is not leaks


@given(st.lists(st.tuples(levels, words, words), min_size=2, max_size=2))
def test_sqlite_agrees_on_what_fits(rows: list[tuple[Visibility, str, str]]) -> None:
    keys = [audience_key(*row) for row in rows]
    assume(all(key.isprintable() for key in keys))
    database = sqlite3.connect(":memory:")
    try:
        found = database.execute(
            f"SELECT {SQL_REPLY_FITS} FROM (SELECT ? AS audience) AS reply,"
            " (SELECT ? AS audience) AS parent",
            keys,
        ).fetchone()
    finally:
        database.close()
    assert bool(found[0]) is reply_fits(*keys)
