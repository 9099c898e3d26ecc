"""What a faulty link does to each message: decided by a seeded generator, without any I/O."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Odds:
    """How bad the link is: probabilities of one message, and times in seconds.

    Attributes:
        drop: it never arrives.
        repeat: it arrives twice, the second time up to ``window`` later.
        reorder: it is held for up to ``window``, while others pass.
        late: a copy of it arrives again after up to ``late_by``: long after everything healed.
        silence_every: mean time between silences in which nothing arrives at all.
        silence: how long those last.
    """

    drop: float = 0.1
    repeat: float = 0.1
    reorder: float = 0.1
    late: float = 0.01
    window: float = 0.2
    late_by: float = 5.0
    silence_every: float = 10.0
    silence: float = 1.0


NONE = Odds(drop=0, repeat=0, reorder=0, late=0, silence_every=0)
"""A link that does what it should."""

ALL_LOST = Odds(drop=1, silence_every=0)
"""A link that passes nothing."""


class LinkFaults:
    """The fate of every message.

    Attributes:
        dropped, repeated, silenced: how many messages met that fate.
    """

    def __init__(self, rng: random.Random, odds: Odds = NONE) -> None:
        self.dropped = 0
        self.repeated = 0
        self.silenced = 0
        self._rng = rng
        self._odds = odds
        self._silent_from: float | None = None

    def set(self, odds: Odds) -> None:
        """Be that bad from now on."""
        self._odds = odds
        self._silent_from = None

    def fate(self, now: float) -> list[float]:
        """After how many seconds each copy of the next message arrives; none if it is lost.

        Args:
            now: seconds on a clock that never goes back.
        """
        odds, chance = self._odds, self._rng.random
        if self._silent(now):
            self.silenced += 1
            return []
        if chance() < odds.drop:
            self.dropped += 1
            return []
        copies = [chance() * odds.window if chance() < odds.reorder else 0.0]
        if chance() < odds.repeat:
            copies.append(chance() * odds.window)
        if chance() < odds.late:
            copies.append(chance() * odds.late_by)
        self.repeated += len(copies) > 1
        return copies

    def _silent(self, now: float) -> bool:
        odds = self._odds
        if not odds.silence_every:
            return False
        if self._silent_from is None or now >= self._silent_from + odds.silence:
            self._silent_from = now + self._rng.expovariate(1 / odds.silence_every)
        return now >= self._silent_from
