"""The edge's checks: what passes unchanged, and what is refused with which code."""

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_node.sessions import checks
from proto.errors import InvalidInput, TooLarge
from proto.messages import MAX_ID
from proto.settings import load_settings

SETTINGS = load_settings()


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize("check", [checks.check_content, checks.check_purpose])
def test_text_passes_unchanged(check: Any) -> None:
    for text in ("a", " a\n", "\x01\x7f", "é\U0001f600", "‮​"):
        assert check(text, SETTINGS) == text


@pytest.mark.parametrize("check", [checks.check_content, checks.check_purpose])
@pytest.mark.parametrize("text", ["", " ", "\n\t\u2003", None, 7, b"a", ["a"], "a\0", "\ud800"])
def test_values_that_are_no_text_are_refused(check: Any, text: Any) -> None:
    with pytest.raises(InvalidInput):
        check(text, SETTINGS)


def test_text_beyond_its_length_is_too_large() -> None:
    assert checks.check_content("é" * 100_000, SETTINGS)
    with pytest.raises(TooLarge):
        checks.check_content("a" * 100_001, SETTINGS)
    with pytest.raises(TooLarge):
        checks.check_purpose("a" * 2_001, SETTINGS)


def test_metadata_is_encoded_once() -> None:
    assert bytes(checks.check_metadata(None, SETTINGS)) == b"{}"
    assert bytes(checks.check_metadata({"a": [1.5, None]}, SETTINGS)) == b'{"a":[1.5,null]}'
    assert checks.check_metadata(nested(16), SETTINGS)


@pytest.mark.parametrize(
    "metadata",
    [
        *([], "a", 7, True, [("a", 1)], nested(17), {"a": math.nan}, {"a": -math.inf}),
        *({"a": MAX_ID + 1}, {"a": -MAX_ID - 1}, {"a": "\0"}, {"\0": 1}, {"a": ["\udfff"]}),
        *({1: 2}, {"a": object()}, {"a": (1,)}, {"a": b"x"}, {"a": {1}}),
    ],
    ids=lambda value: str(value)[:20].encode("ascii", "replace").decode(),
)
def test_metadata_that_is_no_plain_object(metadata: Any) -> None:
    with pytest.raises(InvalidInput):
        checks.check_metadata(metadata, SETTINGS)


def test_metadata_has_a_size_in_bytes_as_json() -> None:
    room = SETTINGS.max_metadata_bytes - len('{"a":""}')
    assert checks.check_metadata({"a": "x" * room}, SETTINGS)
    for text in ("x" * (room + 1), "é" * (room // 2 + 1), "\n" * (room // 2 + 1)):
        with pytest.raises(TooLarge):
            checks.check_metadata({"a": text}, SETTINGS)


@pytest.mark.parametrize("value", ["", "PUBLIC", "all", None, 0, ["public"], {}])
def test_a_visibility_is_one_of_four(value: Any) -> None:
    with pytest.raises(InvalidInput, match="public, private, agent_only, admin_only"):
        checks.check_visibility(value)


@pytest.mark.parametrize("value", [-1, MAX_ID + 1, 2**64, True, 1.0, "1", [1]])
def test_an_id_is_an_integer_in_its_bounds(value: Any) -> None:
    assert checks.check_id(None, "after") is None
    assert checks.check_id(0, "after") == 0
    assert checks.check_id(MAX_ID, "after") == MAX_ID
    with pytest.raises(InvalidInput, match="after"):
        checks.check_id(value, "after")
    with pytest.raises(InvalidInput):
        checks.check_id(0, "parent", least=1)


@pytest.mark.parametrize("value", [0, -1, 1_001, True, 1.0, "5", None])
def test_a_limit_is_1_to_1000(value: Any) -> None:
    assert [checks.check_limit(n) for n in (1, 1_000)] == [1, 1_000]
    with pytest.raises(InvalidInput):
        checks.check_limit(value)


@pytest.mark.parametrize("value", ["", "x" * 130, 7, "\0", "\ud800"])
def test_a_sender_is_a_short_text(value: Any) -> None:
    assert checks.check_sender("a/b c") == "a/b c"
    with pytest.raises(InvalidInput):
        checks.check_sender(value)


@pytest.mark.parametrize(
    ("given_", "moment"),
    [
        ("2026-11-23", "2026-11-23T00:00:00.000000Z"),
        ("2026-11-23T21:30", "2026-11-23T21:30:00.000000Z"),
        ("2026-11-23T21:30:00.5Z", "2026-11-23T21:30:00.500000Z"),
        ("2026-11-23 21:30:00+02:00", "2026-11-23T19:30:00.000000Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_a_moment_becomes_the_logs_own_form(given_: str, moment: str) -> None:
    assert checks.check_moment(given_, "active_since") == moment


@pytest.mark.parametrize(
    "value",
    [
        *("", "now", "2026-13-01", "2026-11-23T25:00", "2026-11-23T21:30:00.1234567Z", 7),
        *("0001-01-01T00:00+01:00", "9999-12-31T23:59-01:00", "2026-11-23T21:30:00Z ", "20261123"),
        *("\uff12\uff10\uff12\uff16-11-23", "2026-11-23T21:30:00+99:00", "2026-W01-1"),
    ],
)
def test_values_that_are_no_moment_are_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="active_since"):
        checks.check_moment(value, "active_since")


@given(st.text() | st.integers() | st.none() | st.lists(st.text()))
def test_anything_is_taken_or_refused_and_never_crashes(value: Any) -> None:
    for check in (
        lambda: checks.check_content(value, SETTINGS),
        lambda: checks.check_metadata(value, SETTINGS),
        lambda: checks.check_moment(value, "x"),
        lambda: checks.check_sender(value),
        lambda: checks.check_visibility(value),
    ):
        with contextlib.suppress(InvalidInput):
            check()
