"""Where a text holds what is looked for, and what of it is shown."""

import re

from hypothesis import given
from hypothesis import strategies as st

from mcp_node.search.matching import SNIPPET_CHARS, match, snippet
from mcp_node.search.words import words


def sought(*terms: str) -> list[list[frozenset[str]]]:
    return [[frozenset(word.split("|")) for word in term.split()] for term in terms]


def shown(text: str, *terms: str) -> str | None:
    found = match(text, sought(*terms))
    return found and snippet(found)


def test_every_term_must_be_there() -> None:
    assert shown("One two three", "three", "one") == "«One» two «three»"
    assert shown("One two three", "one", "four") is None
    assert shown("attwoed", "two") is None


def test_the_words_of_a_term_follow_each_other() -> None:
    assert shown("one-two; two one", "one two") == "«one-two»; two one"
    assert shown("two one", "one two") is None
    assert shown("Ça va, CAFÉ noir", "cafe noir") == "Ça va, «CAFÉ noir»"


def test_a_match_names_the_alternative_it_used() -> None:
    found = match("the cat sat", sought("cat|dog", "sat"))
    assert found is not None
    assert found.used == {"cat", "sat"}


def test_a_snippet_is_about_the_match_on_one_line() -> None:
    text = "before " * 100 + "\n\n  needle\t\tin  hay" + " after" * 100
    piece = shown(text, "needle")
    assert piece is not None
    assert re.fullmatch(r"…(before )+«needle» in hay( after)+( a?f?t?e?)?…", piece)
    assert len(piece) == SNIPPET_CHARS
    assert shown("in\n\nhay\r\nstack", "in hay") == "«in hay» stack"


def test_a_match_too_long_to_show_is_cut() -> None:
    piece = shown("x" * 500, "x" * 64)
    assert piece is not None
    assert piece.startswith("«" + "x" * 64 + "…»")
    assert len(piece) <= SNIPPET_CHARS


TEXTS = st.text(alphabet="ab «»é_\n今", max_size=300)
TERMS = st.lists(st.lists(st.sampled_from(["a", "b", "ab", "e", "今"]), min_size=1, max_size=3))


@given(text=TEXTS, terms=TERMS.filter(bool))
def test_a_match_is_found_where_all_terms_are_and_shown(text: str, terms: list[list[str]]) -> None:
    all_words = words(text)
    there = all(
        any(all_words[at : at + len(term)] == term for at in range(len(all_words)))
        for term in terms
    )
    found = match(text, [[frozenset({word}) for word in term] for term in terms])
    assert (found is not None) is there
    if found is not None:
        piece = snippet(found)
        assert len(piece) <= SNIPPET_CHARS
        assert "«" in piece
        assert found.used == {word for term in terms for word in term}
        assert "\n" not in piece
