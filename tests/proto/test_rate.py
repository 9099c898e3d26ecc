"""Token buckets: never more than burst + rate x time, and never less."""

from hypothesis import given
from hypothesis import strategies as st

from proto.rate import Buckets


@given(
    st.integers(1, 50),
    st.integers(1, 20),
    st.lists(st.floats(0, 2, allow_nan=False), min_size=1, max_size=200),
)
def test_no_window_sees_more_than_the_burst_and_the_rate(
    rate: int, burst: int, pauses: list[float]
) -> None:
    buckets = Buckets(rate, burst)
    now, taken = 0.0, []
    for pause in pauses:
        now += pause
        if buckets.allow("k", now):
            taken.append(now)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + rate * (taken[last] - begin) + 1e-6


def test_a_key_that_rested_has_its_whole_burst_again() -> None:
    buckets = Buckets(10, 5)
    assert [buckets.allow("k", 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert [buckets.allow("k", 0.1) for _ in range(2)] == [True, False]
    assert [buckets.allow("k", 10.0) for _ in range(6)] == [True] * 5 + [False]


def test_keys_have_separate_buckets() -> None:
    buckets = Buckets(1, 1)
    assert buckets.allow("a", 0.0)
    assert buckets.allow("b", 0.0)
    assert not buckets.allow("a", 0.0)


def test_a_rate_of_zero_allows_everything() -> None:
    buckets = Buckets(0, 1)
    assert all(buckets.allow("k", 0.0) for _ in range(1_000))


def test_the_longest_unused_keys_are_forgotten() -> None:
    buckets = Buckets(1, 1, keys=2)
    for key in ("a", "b", "c"):
        assert buckets.allow(key, 0.0)
    assert not buckets.allow("c", 0.0)
    assert buckets.allow("a", 0.0)


@given(st.floats(0.5, 50), st.lists(st.floats(0.1, 100), max_size=30))
def test_what_costs_more_is_had_less_often(rate: float, costs: list[float]) -> None:
    burst = max(1.0, 2 * rate)
    buckets = Buckets(rate, burst)
    taken = sum(min(cost, burst) for cost in costs if buckets.allow("a", 0.0, cost))
    assert taken <= burst * (1 + 1e-9) + rate * 1e-9
    assert buckets.allow("a", 3.0 + burst / rate, 1_000_000.0), (
        "it is full again, whatever it costs"
    )
