"""Which part of a cluster saturates first, and which ones next: by doubling the load."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from bench.scale.cluster import Cluster, Placement
from bench.scale.costs import Costs
from bench.scale.load import Load
from bench.scale.simulation import simulate

NARROWER = 3
"""How often the interval of a doubling is halved."""

FREE: dict[str, dict[str, float]] = {
    "mcp_node": {"call": 0.0},
    "log": {"batch": 0.0, "row": 0.0},
    "nats-server": {"bus_in": 0.0, "bus_out": 0.0},
    "ws_node process": {"message": 0.0, "room": 0.0, "viewer": 0.0, "delivery": 0.0},
}
"""The costs of each part, without which it is never busy."""


class Saturation(NamedTuple):
    """A part that saturates between two loads, in messages/s, when those before it do not."""

    part: str
    holds: float
    fails: float


def saturations(
    load_of: Callable[[float], Load],
    cluster: Cluster,
    costs: Costs,
    shown: Placement,
    begin: float,
    end: float,
    *,
    seconds: float,
    sample: int,
    seed: int,
) -> Iterator[Saturation]:
    """The parts in the order in which they saturate, from one load to another at most.

    Each is then taken to cost nothing, as if there were always enough of it.
    """

    def first_saturated(messages: float) -> str | None:
        result = simulate(
            load_of(messages), cluster, costs, shown, seconds=seconds, sample=sample, seed=seed
        )
        those = [part for part in result.parts if part.saturated]
        return max(those, key=lambda part: part.used[1]).name if those else None

    holds, fails = 0.0, begin
    while holds < end:
        part = first_saturated(fails)
        if part is None:
            holds, fails = fails, fails * 2
            continue
        for _ in range(NARROWER):
            middle = (holds + fails) / 2
            if (found := first_saturated(middle)) is None:
                holds = middle
            else:
                part, fails = found, middle
        yield Saturation(part, holds, fails)
        costs = replace(costs, **FREE[part])
