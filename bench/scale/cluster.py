"""How many nodes of each kind there are, and how many a load needs."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random

from bench.scale.costs import Costs
from bench.scale.load import Load

WORKERS = 8
"""Processes of one ws_node (PARTYLINE_WS_WORKERS)."""

CORES = 4
"""Cores of one nats-server."""

NETWORK = 10e9 / 8
"""Bytes/s that the network of one machine carries."""

ROOM_SHARE = 2_000
"""With placement by session: viewers of one session in one process."""


@dataclass(frozen=True)
class Cluster:
    """The parts.

    Attributes:
        mcp_nodes: processes of mcp_node.
        shards: of the log; 1 is what exists.
        writers: processes that commit to each shard, for all mcp_nodes; 0, which is what exists:
            each mcp_node commits what it was called for.
        nats_servers: in one NATS cluster, each with `CORES` cores.
        workers: processes of ws_node, all nodes together.
        by_session: whether the balancer sends the viewers of a session to the same few processes,
            instead of any.
    """

    mcp_nodes: int = 1
    shards: int = 1
    writers: int = 0
    nats_servers: int = 1
    workers: int = 1
    by_session: bool = False


def needed(load: Load, costs: Costs, most: float, *, by_session: bool) -> Cluster:
    """A cluster with one log, in which nothing else is busier than a share of the time.

    No message is assumed to share a write with another one, so ws_nodes are less busy than that.
    """
    mcp_nodes = ceil(load.messages * costs.call / most)
    workers = 1
    while (least := ceil(worker_seconds(load, costs, workers, by_session) / most)) > workers:
        workers = least
    reached = sum(
        rate * reach(viewers, workers, by_session)
        for rate, viewers in zip(load.rates, load.viewers, strict=True)
    )
    nats_servers = max(1, ceil(reached * costs.bus_bytes / (most * NETWORK)))
    while (
        load.messages * (costs.bus_in * nats_servers + costs.bus_out * (nats_servers - 1))
        + reached * costs.bus_out
    ) > most * CORES * nats_servers:
        nats_servers += 1
    return Cluster(
        max(1, mcp_nodes), nats_servers=nats_servers, workers=workers, by_session=by_session
    )


def worker_seconds(load: Load, costs: Costs, workers: int, by_session: bool) -> float:
    """Seconds of a core that all processes of ws_node need for each second of the load."""
    each = costs.viewer + costs.delivery
    return sum(
        rate * ((costs.message + costs.room) * reach(viewers, workers, by_session) + viewers * each)
        for rate, viewers in zip(load.rates, load.viewers, strict=True)
    )


def reach(viewers: int, workers: int, by_session: bool) -> float:
    """How many of the processes show a session with so many viewers, on average."""
    if by_session:
        return float(_spread(viewers, workers))
    return workers * (1 - (1 - 1 / workers) ** viewers)


Placement = Sequence[dict[int, int]]
"""For each session, how many viewers each process of ws_node has that shows it."""


def place(load: Load, cluster: Cluster, random: Random) -> Placement:
    """Where the viewers are, as a balancer spreads them."""
    return [_placed(viewers, cluster, random) for viewers in load.viewers]


def _placed(viewers: int, cluster: Cluster, random: Random) -> dict[int, int]:
    count = cluster.workers
    where: Iterable[int]
    if cluster.by_session:
        first, spread = random.randrange(count), _spread(viewers, count)
        where = ((first + number % spread) % count for number in range(viewers))
    else:
        where = (int(random.random() * count) for _ in range(viewers))
    return Counter(where)


def _spread(viewers: int, workers: int) -> int:
    return min(workers, ceil(viewers / ROOM_SHARE))
