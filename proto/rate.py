"""Rate limits: token buckets as pure state. The caller passes the time."""

from collections import OrderedDict


class Buckets:
    """A token bucket per key.

    A key may act ``burst`` times at once and ``rate`` times per second on average. Beyond ``keys``
    keys the least recently used is dropped, which leaves it with a full bucket.

    Args:
        rate: actions per second of each key; 0: no limit.
        burst: at least 1.
        keys: maximum number of keys that are kept.
    """

    __slots__ = ("_burst", "_full_at", "_keys", "_rate")

    def __init__(self, rate: float, burst: float, *, keys: int = 10_000) -> None:
        self._rate = rate
        self._burst = burst
        self._keys = keys
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def allow(self, key: str, now: float, cost: float = 1.0) -> bool:
        """Whether ``key`` may act now; if so, the action is counted.

        Args:
            key: who acts.
            now: seconds of a monotonic clock.
            cost: the number of actions it counts as; at most ``burst`` are counted.
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

    def retry_after(self, key: str, now: float, cost: float = 1.0) -> float:
        """Seconds until ``key`` may act again at a cost, at most the burst; 0 if it may now."""
        if self._rate <= 0:
            return 0.0
        full_at = max(self._full_at.get(key, now), now)
        return max(0.0, full_at - now - (self._burst - cost) / self._rate)
