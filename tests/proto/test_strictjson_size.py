"""How many values a text has: bounded before it is parsed, whatever is inside its strings."""

import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import InvalidInput
from proto.strictjson import MAX_VALUES, loads

TWO_MEGABYTES = 2_097_152


def read(text: str, max_values: int = MAX_VALUES) -> Any:
    return loads(text.encode(), max_bytes=TWO_MEGABYTES, max_values=max_values)


def size_of(value: Any) -> int:
    """Values of a value, empty containers counted twice."""
    if isinstance(value, dict | list):
        inner = list(value.values()) if isinstance(value, dict) else value
        return 1 + (sum(map(size_of, inner)) if inner else 1)
    return 1


values = st.recursive(
    st.text('[]{}",\\a', max_size=6) | st.integers(0, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[{",\\'), inner),
    max_leaves=12,
)


@given(values, st.integers(1, 15), st.sampled_from([None, (", \n", " : ")]))
def test_values_are_counted_as_the_parsed_value_has_them(
    value: Any, max_values: int, separators: tuple[str, str] | None
) -> None:
    text = json.dumps(value, separators=separators)
    if size_of(value) <= max_values:
        assert read(text, max_values) == value
    else:
        with pytest.raises(InvalidInput, match=f"more than {max_values} values"):
            read(text, max_values)


def test_the_default_takes_a_large_memory_value() -> None:
    assert len(read("[" + "0," * 32_766 + "0]")) == 32_767


def repeated(part: str) -> str:
    return "[" + ",".join([part] * ((TWO_MEGABYTES - 2) // (len(part) + 1))) + "]"


HOSTILE = {
    "arrays": repeated("[]"),
    "objects": repeated("{}"),
    "members": repeated('{"a":1}'),
    "numbers": repeated("1"),
    "strings": repeated('""'),
    "escapes": repeated(r'"\u0041"'),
    "deep": repeated("[" * 60 + "]" * 60),
    "brackets": "[" + "]" * 2_000_000,
    "quotes": '"' * 2_000_000,
}


def peak(work: Callable[[], object]) -> int:
    """The most bytes that a call has allocated at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


SCANNED: Final = 8 * TWO_MEGABYTES
"""What a scan of two megabytes may hold: the text, and some copies of it. Values take more."""


def test_values_of_two_megabytes_take_more_memory_than_a_scan() -> None:
    assert peak(partial(json.loads, HOSTILE["arrays"])) > 2 * SCANNED


@pytest.mark.parametrize("hostile", HOSTILE)
def test_two_megabytes_are_refused_without_being_parsed(hostile: str) -> None:
    def refused() -> None:
        with pytest.raises(InvalidInput):
            read(HOSTILE[hostile])

    assert peak(refused) < SCANNED


def test_commas_in_a_string_are_no_values() -> None:
    text = "a, [b], {c}" * 10_000
    assert read(json.dumps({"content": text})) == {"content": text}
