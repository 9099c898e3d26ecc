"""The load: how many viewers and how many messages each session has."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import NamedTuple


@dataclass(frozen=True)
class Load:
    """Sessions, the most watched first.

    Attributes:
        viewers: of each session.
        rates: messages/s of each session.
    """

    viewers: Sequence[int]
    rates: Sequence[float]

    @property
    def messages(self) -> float:
        """Messages/s of all sessions."""
        return sum(self.rates)

    @property
    def deliveries(self) -> float:
        """Messages/s, counted once for each viewer."""
        return sum(rate * viewers for rate, viewers in zip(self.rates, self.viewers, strict=True))


class Call(NamedTuple):
    """An agent that calls add_message: when, and for which session."""

    at: float
    session: int


def zipf(count: int, exponent: float) -> list[float]:
    """Shares of the whole that fall with the rank; they sum to 1."""
    weights = [rank**-exponent for rank in range(1, count + 1)]
    whole = sum(weights)
    return [weight / whole for weight in weights]


def make_load(
    viewers: int, messages: float, sessions: int, exponent: float = 1.0, fastest: float = 20.0
) -> Load:
    """A load in which the sessions with the most viewers also have the most messages.

    Args:
        viewers: of all sessions.
        messages: per second, of all sessions.
        sessions: how many.
        exponent: of Zipf's law, for both; 0 makes all sessions alike.
        fastest: most messages/s of one session: more, nobody could read. What is above goes to the
            other sessions.

    Raises:
        ValueError: so many messages need more sessions.
    """
    shares = zipf(sessions, exponent)
    return Load(_whole(shares, viewers), _limited(shares, messages, fastest))


def _whole(shares: Sequence[float], total: int) -> list[int]:
    """Whole numbers in these proportions whose sum is the total."""
    ends = [round(end * total) for end in accumulate(shares)]
    ends[-1] = total
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def _limited(shares: Sequence[float], total: float, most: float) -> list[float]:
    """Numbers in these falling proportions, none above a limit, whose sum is the total."""
    if total > most * len(shares):
        raise ValueError(f"{len(shares)} sessions cannot have {total:.0f} messages/s")
    left, share = total, 1.0
    rates = []
    for each in shares:
        rate = min(most, left * each / share) if share > 0 else left
        rates.append(rate)
        left, share = left - rate, share - each
    return rates


def calls(load: Load, seconds: float, random: Random) -> list[Call]:
    """Independent calls at the load's rates (Poisson), in order of time."""
    sums = list(accumulate(load.rates))
    at, times = 0.0, []
    while sums[-1] > 0 and (at := at + random.expovariate(sums[-1])) < seconds:
        times.append(at)
    chosen = random.choices(range(len(sums)), cum_weights=sums, k=len(times)) if times else []
    return [Call(*each) for each in zip(times, chosen, strict=True)]
