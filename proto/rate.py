"""Rate limits as values: token buckets, told the time instead of asking for it."""

from collections import OrderedDict


class Buckets:
    """A token bucket for each of many keys.

    A key may act ``burst`` times at once and ``rate`` times a second on average. The longest
    unused keys are forgotten, which can only be in their favour.

    Args:
        rate: actions a second for each key; 0 allows everything.
        burst: at least 1.
        keys: how many keys are remembered.
    """

    __slots__ = ("_burst", "_full_at", "_keys", "_rate")

    def __init__(self, rate: float, burst: float, *, keys: int = 10_000) -> None:
        self._rate = rate
        self._burst = burst
        self._keys = keys
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, now: float, cost: float = 1.0) -> bool:
        """Whether ``key`` may act now; if so, that it does is counted.

        Args:
            key: who acts.
            now: seconds on a clock that never goes back.
            cost: how many actions it counts as; more than ``burst`` is taken as ``burst``.
        """
        if self._rate <= 0:
            return True
        full_at = max(self._full_at.get(key, now), now) + min(cost, self._burst) / self._rate
        if full_at - now > self._burst / self._rate + 1e-9:
            return False
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._keys:
            self._full_at.popitem(last=False)
        return True

    def wait(self, key: str, now: float) -> float:
        """Seconds until ``key`` may act again; 0 if it may now."""
        if self._rate <= 0:
            return 0.0
        full_at = max(self._full_at.get(key, now), now)
        return max(0.0, full_at - now - (self._burst - 1) / self._rate)
