"""What is typed becomes words, or a clear refusal; never anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_node.search.query import MAX_CHARACTERS, MAX_WORDS, Term, parse
from mcp_node.search.words import words
from proto.errors import InvalidInput, TooLarge


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("heavy load", [Term(("heavy",)), Term(("load",))]),
        ('"heavy load" now', [Term(("heavy", "load")), Term(("now",))]),
        ("add_message", [Term(("add", "message"))]),
        ("rout*", [Term(("rout",), prefix=True)]),
        ('"rout*"', [Term(("rout",))]),
        ("a AND (b OR c) NOT d", [Term((w,)) for w in ("a", "and", "b", "or", "c", "not", "d")]),
        ("NEAR(a b, 2)", [Term(("near", "a")), Term(("b",)), Term(("2",))]),
        ("content:x -y ^z", [Term(("content", "x")), Term(("y",)), Term(("z",))]),
        ('un"closed', [Term(("un",)), Term(("closed",))]),
        ("twice Twice", [Term(("twice",))]),
        ("今天", [Term(("今", "天"))]),
    ],
    ids=range(11),
)
def test_a_query_becomes_its_terms(query: str, expected: list[Term]) -> None:
    assert parse(query) == expected


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", InvalidInput),
        ("  \t ", InvalidInput),
        ('"" * ()', InvalidInput),
        ("😀", InvalidInput),
        ("a\x00b", InvalidInput),
        ("a\ud800", InvalidInput),
        (" ".join(f"w{n}" for n in range(MAX_WORDS + 1)), InvalidInput),
        ("_".join(f"w{n}" for n in range(MAX_WORDS + 1)), InvalidInput),
        ("今" * (MAX_CHARACTERS + 1), InvalidInput),
        ("a" * 201, TooLarge),
        (None, InvalidInput),
        (["a"], InvalidInput),
        (b"a", InvalidInput),
    ],
    ids=range(13),
)
def test_queries_without_words_or_too_long_are_refused(
    query: object, error: type[InvalidInput]
) -> None:
    with pytest.raises(error):
        parse(query)


@given(st.text(max_size=210))
def test_any_text_is_words_or_refused(query: str) -> None:
    try:
        terms = parse(query)
    except InvalidInput as error:
        assert len(query) < 3 or query not in str(error)
        return
    assert {word for term in terms for word in term.words} <= set(words(query))
    assert sum(len(term.words) for term in terms) <= MAX_CHARACTERS
    assert all(term.words and all(term.words) for term in terms)
