"""Nesting: exact at the cap, bounded in time and stack, and blind to brackets inside strings."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import InvalidInput
from proto.strictjson import MAX_DEPTH, loads

LIMIT = 4 << 20


def read(text: str, max_depth: int = MAX_DEPTH) -> Any:
    return loads(text.encode(), max_bytes=LIMIT, max_depth=max_depth)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_the_maximum_depth_is_exact(opening: str, closing: str) -> None:
    step = len(opening.replace('"a":', ""))
    fits = MAX_DEPTH // step
    assert read(opening * fits + "1" + closing * fits)
    with pytest.raises(InvalidInput, match=f"deeper than {MAX_DEPTH} levels"):
        read(opening * (fits + 1) + "1" + closing * (fits + 1))


@given(
    st.recursive(
        st.text('[]{}"\\a', max_size=6) | st.integers(0, 9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[{"\\'), inner),
        max_leaves=12,
    ),
    st.integers(1, 5),
)
def test_depth_is_counted_as_the_parsed_value_has_it(value: Any, max_depth: int) -> None:
    text = json.dumps(value)
    if depth_of(value) <= max_depth:
        assert read(text, max_depth) == value
    else:
        with pytest.raises(InvalidInput, match="nested deeper"):
            read(text, max_depth)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000])
def test_a_hundred_thousand_brackets_are_refused_for_their_depth(text: str) -> None:
    with pytest.raises(InvalidInput, match="nested deeper"):
        read(text)


def test_closing_brackets_first_do_not_buy_depth() -> None:
    with pytest.raises(InvalidInput):
        read("]" * 100_000 + "[" * 100_000)


@pytest.mark.parametrize("content", ["[" * 100_000, "{[" * 5000 + '\\"[[\\\\'])
def test_brackets_inside_strings_do_not_count(content: str) -> None:
    text = f'[{{"{content}":"{content}"}}]'
    assert read(text) == json.loads(text)


def test_many_shallow_arrays_are_not_deep() -> None:
    assert len(read("[" + "[]," * 10_000 + "{}]")) == 10_001


def test_a_cap_above_the_stack_is_refused_and_does_not_crash() -> None:
    with pytest.raises(InvalidInput, match="not valid JSON"):
        loads(b"[" * 100_000, max_bytes=LIMIT, max_depth=1_000_000, max_values=1_000_000)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "[" * 65 + '"' + '\\"' * 1_000_000,
        "[" * 65 + '"' * 1_000_001,
        '"' + "[" * 65 + "\\" * 1_000_001,
        '"[' * 500_000,
        '"\\' + '[\\"' * 500_000,
    ],
    ids=["escaped quotes", "quotes", "backslashes", "quoted brackets", "mixed"],
)
def test_an_unclosed_string_takes_no_more_than_linear_time(text: str) -> None:
    with pytest.raises(InvalidInput):
        read(text)
