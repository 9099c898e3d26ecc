"""The same rule on values that a framework has already parsed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import InvalidInput
from proto.messages import MAX_ID
from proto.strictjson import check_text, check_value, loads

everything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=10,
)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def refused(value: Any) -> str:
    with pytest.raises(InvalidInput) as refusal:
        check_value(value, "metadata", max_depth=8)
    assert refusal.value.message.startswith("metadata ")
    return refusal.value.message


@given(everything)
def test_parsed_and_given_values_have_one_rule(value: Any) -> None:
    try:
        check_value(value, "metadata", max_depth=64)
        by_value = True
    except InvalidInput:
        by_value = False
    try:
        loads(json.dumps(value).encode(), max_bytes=1 << 20)
        by_text = True
    except InvalidInput:
        by_text = False
    assert by_value is by_text


@pytest.mark.parametrize(
    "number", [MAX_ID + 1, -MAX_ID - 1, 10**5000], ids=["above", "below", "far"]
)
def test_integers_beyond_the_bound_are_refused(number: int) -> None:
    assert "integer beyond" in refused({"a": [number]})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_cannot_express_are_refused(value: float) -> None:
    assert "JSON cannot express" in refused([value])


@pytest.mark.parametrize("value", [b"x", (1,), {1}, object(), 1j], ids=lambda v: type(v).__name__)
def test_types_that_json_does_not_have_are_refused(value: object) -> None:
    assert "JSON cannot express" in refused({"a": value})


@pytest.mark.parametrize("key", [1, None, True, (1,), b"k"])
def test_keys_that_are_no_strings_are_refused(key: object) -> None:
    assert "key that is not a string" in refused([{key: 1}])


@pytest.mark.parametrize("text", ["a\x00", "\x00", "é\x00"])
def test_nul_in_values_and_keys_is_refused(text: str) -> None:
    assert "NUL" in refused([text])
    assert "NUL" in refused({text: 1})


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "é\udc80z"])
def test_lone_surrogates_in_values_and_keys(text: str) -> None:
    assert "surrogate" in refused([text])
    assert "surrogate" in refused({text: 1})


def test_the_cap_on_depth_is_exact() -> None:
    check_value(nested(8), "metadata", max_depth=8)
    assert "deeper than 8" in refused(nested(9))


def test_a_scalar_has_no_depth() -> None:
    check_value("a", "metadata", max_depth=0)


def test_a_value_deeper_than_the_stack_or_containing_itself_is_refused() -> None:
    assert "deeper than 8" in refused(nested(100_000))
    loop: list[Any] = []
    loop.append(loop)
    assert "deeper than 8" in refused(loop)


def test_the_value_is_not_repeated() -> None:
    for value in (["swordfish\x00"], {"swordfish": 2**60}, {"swordfish\ud800": 1}):
        assert "swordfish" not in refused(value)


@pytest.mark.parametrize("text", ["", "plain", "é\U0001f600", "\x01\x7f\u2028\ufeff"])
def test_any_other_text_passes(text: str) -> None:
    check_text(text, "content")


@pytest.mark.parametrize("text", ["a\x00b", "\ud83d"])
def test_a_refused_text_is_called_by_its_field(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^INVALID_INPUT: content contains a"):
        check_text(text, "content")
