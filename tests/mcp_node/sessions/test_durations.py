"""Durations as people and models write them; anything else is refused without being repeated."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_node.sessions.durations import LONGEST_SECONDS, duration_seconds
from proto.errors import InvalidInput

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("1s", 1), ("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)),
        *(("3650d", LONGEST_SECONDS), (1, 1), (3_600, 3_600), (LONGEST_SECONDS, LONGEST_SECONDS)),
    ],
)
def test_durations_are_read_as_seconds(value: str | int, seconds: int) -> None:
    assert duration_seconds(value, "expires_in") == seconds


@pytest.mark.parametrize(
    "value",
    [
        *("", "30", "d", "0s", "-1d", "1.5h", "1w", "3651d", "1d ", "٣d", "1D", "1h30m", "1d\n"),
        *(0, -1, LONGEST_SECONDS + 1, True, 1.5, None, ["1d"], {"d": 1}, b"1d"),
    ],
    ids=repr,
)
def test_values_that_are_no_duration_are_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^INVALID_INPUT: expires_in must be .* such as 12h"):
        duration_seconds(value, "expires_in")


@given(st.integers(-10, 10**9), st.sampled_from(sorted(UNITS)))
def test_a_number_and_its_unit_are_the_seconds_or_out_of_bounds(number: int, unit: str) -> None:
    seconds = number * UNITS[unit]
    if 0 < seconds <= LONGEST_SECONDS:
        assert duration_seconds(f"{number}{unit}", "a") == duration_seconds(seconds, "a") == seconds
    else:
        for value in (f"{number}{unit}", seconds):
            with pytest.raises(InvalidInput):
                duration_seconds(value, "a")


@given(st.text())
def test_other_text_is_refused_and_not_repeated(text: str) -> None:
    try:
        assert 0 < duration_seconds(text, "a") <= LONGEST_SECONDS
        assert text.isascii() and text[:-1].isdecimal() and text[-1] in UNITS
    except InvalidInput as error:
        assert str(error) == (
            "INVALID_INPUT: a must be a whole number and s, m, h or d, such as 12h or 30d, "
            "at most 3650d. Correct it and call again."
        )
