"""The link's faults: seeded, of the frequency they are said to have, and gone when healed."""

import random

from tests.chaos.link_faults import NONE, LinkFaults, Odds

MANY = 20_000


def fates(seed: int, odds: Odds, count: int = MANY) -> list[list[float]]:
    faults = LinkFaults(random.Random(seed), odds)
    return [faults.fate(number / 100) for number in range(count)]


def test_a_seed_decides_every_fate() -> None:
    assert fates(1, Odds()) == fates(1, Odds())
    assert fates(1, Odds()) != fates(2, Odds())


def test_faults_are_as_frequent_as_their_odds() -> None:
    odds = Odds(late=0, silence_every=0)
    faults = LinkFaults(random.Random(1), odds)
    found = [faults.fate(0.0) for _ in range(MANY)]
    assert found.count([]) == faults.dropped
    assert 0.08 < faults.dropped / MANY < 0.12
    assert 0.08 < faults.repeated / (MANY - faults.dropped) < 0.12
    held = sum(bool(copies) and copies[0] > 0 for copies in found)
    assert 0.08 < held / (MANY - faults.dropped) < 0.12
    assert max(delay for copies in found for delay in copies) <= odds.window


def test_a_silence_swallows_everything_for_its_length() -> None:
    faults = LinkFaults(random.Random(1), Odds(drop=0, silence_every=10, silence=1))
    silent = [not faults.fate(number / 100) for number in range(MANY)]
    assert sum(silent) == faults.silenced
    runs = "".join("x" if one else " " for one in silent).split()
    assert len(runs) > 5
    assert all(95 <= len(run) <= 105 for run in runs[:-1])


def test_a_healed_link_passes_everything_once_and_at_once() -> None:
    faults = LinkFaults(random.Random(1), Odds())
    faults.set(NONE)
    assert all(faults.fate(number / 100) == [0.0] for number in range(MANY))
