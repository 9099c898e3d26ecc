"""What a mistyped word may have meant."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from mcp_node.search.vocabulary import Vocabulary, WordList, allowed_distance, closest_first
from mcp_node.search.words import is_known

WORDS = st.text(alphabet="abcé1", min_size=1, max_size=9)


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE search_words (scope, message_id, word)")
        yield connection


def say(database: sqlite3.Connection, scope: int, message_id: int, *words: str) -> None:
    rows = [(scope, message_id, word) for word in words]
    database.executemany("INSERT INTO search_words VALUES (?, ?, ?)", rows)


def known(database: sqlite3.Connection, vocabulary: Vocabulary, scope: int) -> set[str]:
    return {w for part in vocabulary.of(database, scope) for w in part.beginning_with("")}


def test_the_longer_a_word_the_more_may_be_wrong() -> None:
    assert [allowed_distance(word) for word in ("ab", "abc", "abcde", "abcdef", "123456")] == [
        0,
        1,
        1,
        2,
        0,
    ]


@given(typed=WORDS, vocabulary=st.lists(WORDS))
def test_near_words_are_those_within_the_distance(typed: str, vocabulary: list[str]) -> None:
    words = WordList()
    words.add(vocabulary)
    most = allowed_distance(typed)
    expected = {w: OSA.distance(typed, w) for w in vocabulary if is_known(typed)}
    assert words.near(typed) == {w: far for w, far in expected.items() if far <= most}


def test_the_closest_come_first() -> None:
    near = {"routes": 2, "router": 1, "outer": 1, "rooter": 1}
    assert closest_first("ruoter", near) == ["rooter", "router", "outer", "routes"]


def test_a_vocabulary_learns_what_is_new_and_keeps_scopes_apart(
    database: sqlite3.Connection,
) -> None:
    vocabulary = Vocabulary()
    say(database, 1, 1, "one", "two")
    say(database, 2, 1, "other")
    assert known(database, vocabulary, 1) == {"one", "two"}
    say(database, 1, 2, "three")
    assert known(database, vocabulary, 1) == {"one", "two", "three"}
    assert known(database, vocabulary, 2) == {"other"}


def test_what_is_not_kept_in_memory_is_read(database: sqlite3.Connection) -> None:
    vocabulary = Vocabulary(most_of_scope=2)
    for number, words in enumerate((["aaa"], ["bbb", "ccc"], ["ddd"], ["eee"]), 1):
        say(database, 1, number, *words)
    for _ in range(2):
        parts = [sorted(part.beginning_with("")) for part in vocabulary.of(database, 1)]
        assert parts == [["aaa", "bbb", "ccc"], ["ddd", "eee"]]
