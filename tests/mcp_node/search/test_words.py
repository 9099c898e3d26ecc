"""The words of a text: what search takes for one, and that nothing else comes through."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_node.search.words import LONGEST, composed, is_known, spans, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("add_message in transport.py", ["add", "message", "in", "transport", "py"]),
        ("Café CAFE\u0301 naïve", ["cafe", "cafe", "naive"]),
        ("Straße ﬁx İstanbul Ωmega", ["strasse", "fix", "istanbul", "ωmega"]),
        ("我们今天 カタ", ["我", "们", "今", "天", "カ", "タ"]),
        ("हिन्दी 한국어", ["हिन्दी", "한국어"]),
        ("😀 !? … «»", []),
        ("it's 10.5%", ["it", "s", "10", "5"]),
        ("x" * 100, ["x" * LONGEST]),
        ("a\x00b\nc", ["a", "b", "c"]),
        ("\u0301 \ufdfa", ["صلىاللهعليهوسلم"]),
    ],
    ids=range(10),
)
def test_text_becomes_its_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(max_size=60))
def test_words_are_safe_to_put_into_an_index(text: str) -> None:
    for word in words(text):
        assert 0 < len(word) <= LONGEST
        assert not re.search(r'[\s"*^:(){}+\-_@/.\x00]', word), ascii(word)
        assert not any(unicodedata.category(sign)[0] in "PZC" for sign in word), ascii(word)


@given(st.text(max_size=60))
def test_words_are_the_same_with_and_without_their_places(text: str) -> None:
    whole = composed(text)
    found = spans(whole)
    assert [word.text for word in found] == words(text)
    assert all(0 <= word.start < word.end <= len(whole) for word in found)


@given(st.text(alphabet="abXYZéÉ019_ -", max_size=40))
def test_case_and_composition_do_not_count(text: str) -> None:
    assert words(text.upper()) == words(text) == words(unicodedata.normalize("NFD", text))


def test_only_what_may_be_mistyped_is_suggested() -> None:
    assert [w for w in ("router", "utf8", "sha256", "añejo") if not is_known(w)] == []
    assert [w for w in ("ab", "12345", "a1b2c3d4", "x" * 25, "今") if is_known(w)] == []
