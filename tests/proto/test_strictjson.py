"""The strict JSON rule: what it accepts json.loads reads alike; all the rest is refused quietly."""

import json
import traceback
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proto.errors import InvalidInput, TooLarge
from proto.messages import MAX_ID
from proto.strictjson import MAX_DEPTH, loads

LIMIT = 1 << 20
NEEDLE = "swordfish"

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_ID, MAX_ID)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
FRAGMENTS = [*'[]{}":,\\ \n\t', "1", "-", ".5", "e9", "e999", "true", "null", "NaN", "Infinity"]
FRAGMENTS += ['"a"', '"b":', '\\"', "\\u0000", "\\ud83d", "\\ude00", "\\uD8", "é", "\x00", "\ufeff"]
FRAGMENTS += [str(MAX_ID), str(MAX_ID + 1), "0", "/", "\x7f", "[" * 70, "]" * 70]
fragments = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)


def read(text: str) -> Any:
    return loads(text.encode(), max_bytes=LIMIT)


@given(values, st.booleans(), st.sampled_from([None, 2]))
def test_every_value_within_the_rule_is_read_as_json_reads_it(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert repr(read(text)) == repr(json.loads(text)) == repr(value)


@given(fragments | st.text(max_size=30))
@example("-0")
@example("[-0.0, 1E5, 1e-999]")
@example('"\\ud83d\\ude00"')
def test_whatever_it_accepts_json_reads_alike(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    try:
        value = loads(raw, max_bytes=LIMIT)
    except InvalidInput:
        return
    assert repr(value) == repr(json.loads(raw.decode()))
    assert "\\u0000" not in json.dumps(value)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


@given(st.binary(max_size=60))
def test_arbitrary_bytes_raise_nothing_but_invalid_input(raw: bytes) -> None:
    with suppress(InvalidInput):
        loads(raw, max_bytes=LIMIT)


REFUSED = {
    "NaN": "NaN",
    "Infinity": "[Infinity]",
    "-Infinity": '{"a":-Infinity}',
    "float overflow": "1e999",
    "negative float overflow": "[-1E400]",
    "integer above": str(MAX_ID + 1),
    "integer below": str(-MAX_ID - 1),
    "integer of many digits": "9" * 100_000,
    "duplicate key": '{"a":1,"a":1}',
    "duplicate key, nested": '[{"x":{"a":1,"b":2,"a":3}}]',
    "duplicate key, one escaped": '{"a":1,"\\u0061":2}',
    "raw NUL in a string": '"a\x00b"',
    "raw NUL after the value": "1\x00",
    "escaped NUL": '"\\u0000"',
    "escaped NUL in a key": '{"\\u0000":1}',
    "escaped NUL, deep": '[[{"a":["\\u0000"]}]]',
    "lone high surrogate": '"\\ud83d"',
    "lone low surrogate": '["\\ude00"]',
    "surrogates in the wrong order": '"\\ude00\\ud83d"',
    "lone surrogate in a key": '{"a":{"\\udfff":1}}',
    "raw control character": '"a\x01"',
    "raw newline in a string": '"a\nb"',
    "trailing garbage": "{} x",
    "two values": "1 2",
    "byte order mark": "\ufeff{}",
    "empty": "",
    "blank": " \n",
    "trailing comma": "[1,]",
    "single quotes": "{'a':1}",
    "comment": "[1] // one",
    "leading zero": "01",
    "leading plus": "+1",
    "bare point": ".5",
    "hexadecimal": "0x10",
    "other digits": "\u0661",
    "no-break space": "\u00a01",
    "key that is no string": "{1:2}",
    "unclosed string": '"abc',
    "unclosed array": "[1",
    "unclosed escape": '"\\',
    "short escape": '"\\u12"',
    "escape with a sign": '"\\u+123"',
    "escape with a blank": '"\\u 123"',
    "unknown escape": '"\\x41"',
    "wrong case": "True",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_each_breach_of_strict_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read(text)
    assert type(refusal.value) is InvalidInput
    assert refusal.value.hint


@pytest.mark.parametrize(
    "raw",
    [
        b'"\xff"',
        b'"\xc0\x80"',  # NUL, overlong
        b'"\xed\xa0\x80"',  # a surrogate, encoded
        b'"\xf4\x90\x80\x80"',  # beyond Unicode
        b'"\xe2\x82"',
        "{}".encode("utf-16"),
        "{}".encode("utf-16-le"),
        "{}".encode("utf-32-be"),
    ],
)
def test_anything_but_utf_8_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        loads(raw, max_bytes=LIMIT)


@pytest.mark.parametrize("number", [MAX_ID, -MAX_ID, MAX_ID - 1, 0])
def test_integers_up_to_the_bound_are_exact(number: int) -> None:
    assert read(str(number)) == number


def test_paired_surrogates_are_one_character() -> None:
    assert read('"\\ud83d\\ude00"') == "\U0001f600"


def test_equal_keys_of_different_objects_are_no_duplicates() -> None:
    assert read('[{"a":1},{"a":{"a":2}}]') == [{"a": 1}, {"a": {"a": 2}}]


def test_an_escaped_backslash_before_u_is_plain_text() -> None:
    assert read('"\\\\u0000"') == "\\u0000"


@pytest.mark.parametrize("raw", [b"[1,2]", b"\xff\xff\xff\xff\xff"])
def test_the_cap_on_bytes_is_exact_and_comes_first(raw: bytes) -> None:
    assert loads(b"[1,2]", max_bytes=5) == [1, 2]
    with pytest.raises(TooLarge, match="larger than 4 bytes"):
        loads(raw, max_bytes=4)


@pytest.mark.parametrize(
    "text",
    [
        NEEDLE,
        f'"{NEEDLE}',
        f'{{"{NEEDLE}":1,"{NEEDLE}":2}}',
        f'{{"{NEEDLE}":NaN}}',
        f'["{NEEDLE}\\u0000"]',
        f'["{NEEDLE}\\ud800"]',
        f'{{"{NEEDLE}":1e999}}',
        f'{{"{NEEDLE}":{MAX_ID + 1}}}',
        f'"{NEEDLE}" {NEEDLE}',
        "[" * (MAX_DEPTH + 1) + f'"{NEEDLE}"',
        f'"{NEEDLE}' + "x" * LIMIT + '"',
    ],
)
def test_an_error_never_repeats_the_input(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read(text)
    error = refusal.value
    assert NEEDLE not in "".join(traceback.format_exception_only(error)) + repr(error) + error.hint


def test_a_printed_traceback_does_not_repeat_it_either() -> None:
    try:
        loads(f'{{"{NEEDLE}": }}'.encode() + b"\xff", max_bytes=LIMIT)
    except InvalidInput as error:
        assert NEEDLE not in "".join(traceback.format_exception(error))
