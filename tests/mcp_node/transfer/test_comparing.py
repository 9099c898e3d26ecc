"""Batches of rows, and the comparison of two sides, against simple models of both."""

from itertools import groupby

from hypothesis import example, given
from hypothesis import strategies as st

from mcp_node.transfer.copying import batches
from mcp_node.transfer.verification import MESSAGES, compare_sessions, digest, sessions

INTEGERS = st.integers(-(2**63), 2**63 - 1)
NUMBERS = INTEGERS | st.floats(allow_nan=False)
VALUES = st.none() | NUMBERS | st.text(max_size=5) | st.binary(max_size=5)
ROWS = st.lists(st.tuples(VALUES, VALUES), max_size=30)
LOG = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), max_size=12).map(sorted)


@given(ROWS, st.integers(1, 7), st.integers(1, 60))
def test_batches_are_all_rows_in_order_within_their_limits(
    rows: list[tuple[object, object]], most_rows: int, most_bytes: int
) -> None:
    found = list(batches(rows, most_rows, most_bytes))
    assert [row for batch in found for row in batch] == rows
    assert all(1 <= len(batch) <= most_rows for batch in found)
    for batch in found:
        assert all(len(part) == 1 for part in batches(batch[:-1], 1, 1))
        assert len(list(batches(batch[:-1], len(batch), most_bytes))) <= 1


@given(ROWS, ROWS)
@example([("", 1)], [(b"", 1)])
def test_equal_digests_are_of_equal_rows(
    ours: list[tuple[object, object]], theirs: list[tuple[object, object]]
) -> None:
    assert digest(ours) == digest(list(ours))
    assert (digest(ours) == digest(theirs)) == (repr(ours) == repr(theirs))


@given(LOG, LOG)
def test_exactly_the_sessions_that_differ_are_found(
    ours: list[tuple[str, int]], theirs: list[tuple[str, int]]
) -> None:
    compared = compare_sessions(sessions(ours), sessions(theirs))
    left, right = (
        {name: [n for _, n in part] for name, part in groupby(log, key=lambda row: row[0])}
        for log in (ours, theirs)
    )
    differing = [name for name in sorted(left | right) if left.get(name) != right.get(name)]
    assert [difference.what for difference in compared.differences] == [
        f"messages of {name}" for name in differing
    ]
    for name, difference in zip(differing, compared.differences, strict=True):
        assert difference.source == len(left.get(name, []))
        assert difference.target == len(right.get(name, []))
    assert (compared.table, compared.rows, compared.sessions) == (
        MESSAGES,
        len(ours),
        len(left | right),
    )
