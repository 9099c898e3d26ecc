"""Faults of viewers: some are cut, some stop reading, some ask for the same again,
some leave a session for a while."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from tests.chaos.viewers import Viewer

MAX_STALL_SECONDS = 8.0
MAX_ABSENCE_SECONDS = 2.0


class ViewerFaults:
    """Does something to a random viewer, again and again.

    Attributes:
        done: how often each kind was done.
    """

    def __init__(self, viewers: Sequence[Viewer], rng: random.Random, every: float) -> None:
        self.done: Counter[str] = Counter()
        self._viewers = viewers
        self._rng = rng
        self._every = every

    async def run(self) -> None:
        """Every ``every`` seconds on average, to one viewer."""
        rng = self._rng
        while True:
            await asyncio.sleep(rng.expovariate(1 / self._every))
            viewer = rng.choice(self._viewers)
            kind = rng.choice(("cut", "stalled", "asked again"))
            if viewer.kind == "many" and rng.random() < 0.25:
                kind = "left a session"
            if kind == "cut":
                done = viewer.cut()
            elif kind == "stalled":
                done = viewer.stall(rng.uniform(0.5, MAX_STALL_SECONDS))
            elif kind == "left a session":
                done = await viewer.leave_a_session(rng.uniform(0, MAX_ABSENCE_SECONDS))
            else:
                done = await viewer.subscribe_again()
            self.done[kind] += done
