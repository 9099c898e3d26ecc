"""Names: what is well-formed, what is reserved, and that refusals do not repeat the input."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import InvalidInput
from proto.names import (
    NAME_PATTERN,
    RESERVED,
    check_free_name,
    check_name,
    is_name,
    new_session_id,
)

ALPHANUMERIC = string.ascii_letters + string.digits
WELL_FORMED = ["a", "Z", "7", "refactor-auth", "a.b_c-d", "0..", "a" * 64, "session_00ff"]
MALFORMED: list[object] = [
    "",
    "a" * 65,
    ".a",
    "-a",
    "_a",
    "a b",
    "a\n",
    "\na",
    "a/b",
    "a:b",
    "a\x00",
    "é",
    "a\u0301",
    "\uff41",  # full-width a
    "\u0661",  # Arabic-Indic one: a digit to str.isdigit
    "a\u200b",
    "\ud800",
    b"a",
    1,
    None,
    ["a"],
]


@pytest.mark.parametrize("name", WELL_FORMED)
def test_a_well_formed_name_is_returned_as_it_is(name: str) -> None:
    assert is_name(name)
    assert check_name(name, "session_id") is name


@pytest.mark.parametrize("value", MALFORMED, ids=ascii)
def test_values_that_are_no_name_are_refused(value: object) -> None:
    assert not is_name(value)
    with pytest.raises(InvalidInput, match=r"^INVALID_INPUT: session_id must be 1 to 64"):
        check_name(value, "session_id")


@given(
    st.builds(
        str.__add__,
        st.sampled_from(ALPHANUMERIC),
        st.text(ALPHANUMERIC + "._-", max_size=63),
    )
)
def test_every_name_of_the_grammar_is_well_formed(name: str) -> None:
    assert is_name(name)


@given(st.text())
def test_only_text_in_the_grammar_is_a_name(text: str) -> None:
    in_grammar = (
        0 < len(text) <= 64
        and text[0] in ALPHANUMERIC
        and all(character in ALPHANUMERIC + "._-" for character in text)
    )
    assert is_name(text) is in_grammar
    assert in_grammar is bool(re.fullmatch(NAME_PATTERN, text))


def test_a_refusal_names_the_field_and_not_the_value() -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_name("sword fish", "agent_id")
    assert "agent_id" in str(refusal.value)
    assert "sword" not in str(refusal.value)


@pytest.mark.parametrize("name", sorted(RESERVED))
@pytest.mark.parametrize("spell", [str, str.upper, str.title])
def test_reserved_names_are_refused_in_any_case(name: str, spell: type[str]) -> None:
    with pytest.raises(InvalidInput, match="agent_id is a reserved name"):
        check_free_name(spell(name), "agent_id")


def test_the_reserved_names_are_those_of_the_contract() -> None:
    assert {
        "system",
        "anonymous",
        "human",
        "guest",
        "external",
        "partyline",
        "service",
    } == RESERVED


@pytest.mark.parametrize("name", ["guest1", "systems", "my.human", "partyline-bot"])
def test_a_name_that_only_contains_a_reserved_one_is_free(name: str) -> None:
    assert check_free_name(name, "agent_id") == name


def test_a_free_name_must_be_well_formed() -> None:
    with pytest.raises(InvalidInput, match="must be 1 to 64"):
        check_free_name("two words", "agent_id")


def test_new_session_ids_are_names_and_differ() -> None:
    ids = {new_session_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"session_[0-9a-f]{16}", made) and is_name(made) for made in ids)
