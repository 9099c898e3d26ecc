"""A stretch of a load, message by message, from the agents' calls to the viewers.

A call waits for its mcp_node, its message for a batch and for the lock of the log (or of its
session's shard), then for nats-server, which passes it to the servers and processes of ws_node that
show its session, and there for the turn that writes it to the viewers. Time on the wire is not
counted.

Of the processes of ws_node, a sample is simulated message by message: they do not influence each
other. The load on everything before them is that of all.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from bench.scale.cluster import CORES, Cluster, Placement
from bench.scale.costs import Costs
from bench.scale.load import Call, Load, calls
from bench.scale.queues import Arrival, Servers, Usage, drain, take_turns

BATCH: Final = 512
"""Most messages of a batch, as in ``mcp_node/log/writer.py``."""


@dataclass(frozen=True)
class Part:
    """What became of one kind of part.

    Attributes:
        name: of its kind.
        count: how many there are.
        used: the share of the time that each was busy, on average, and the busiest of them; above
            1 if the work takes longer than the agents called. Of the log: its share of what it can
            commit in full batches.
        saturated: whether work came faster than it was done.
    """

    name: str
    count: int
    used: tuple[float, float]
    saturated: bool


@dataclass(frozen=True)
class Result:
    """What came out.

    Attributes:
        parts: in the order of a message's path.
        messages: how many were committed.
        deliveries: how many reached a viewer of the sample: message, viewers, seconds since the
            commit.
        to_commit: seconds from call to commit, of each message.
    """

    parts: Sequence[Part]
    messages: int
    deliveries: Sequence[tuple[int, int, float]]
    to_commit: Sequence[float]

    def to_viewer(self, share: float) -> float:
        """Seconds from commit to viewer that this share of all deliveries did not exceed."""
        left = share * sum(viewers for _, viewers, _ in self.deliveries)
        for _, viewers, seconds in sorted(self.deliveries, key=lambda each: each[2]):
            left -= viewers
            if left <= 0:
                return seconds
        return 0.0


class Message(NamedTuple):
    """A committed message: when it was, when it is published, by which process."""

    number: int
    session: int
    committed: float
    published: float
    node: int


def simulate(
    load: Load,
    cluster: Cluster,
    costs: Costs,
    shown: Placement,
    *,
    seconds: float,
    sample: int,
    seed: int,
) -> Result:
    """Simulate a load that begins and ends with empty queues.

    Args:
        shown: where the load's viewers are.
        seconds: how long agents call; what was called for is then still delivered.
        sample: processes of ws_node that are simulated.
    """
    random = Random(seed)
    sample = min(sample, cluster.workers)
    parts: list[Part] = []

    def part(name: str, count: int, usages: Iterable[Usage]) -> None:
        each = list(usages)
        shares = [usage.busy / seconds for usage in each]
        together = Usage(waits=[wait for usage in each for wait in usage.waits])
        mean = sum(shares) / len(shares)
        parts.append(Part(name, count, (mean, max(shares)), together.fell_behind(seconds)))

    asked = calls(load, seconds, random)
    nodes = [Servers(1) for _ in range(cluster.mcp_nodes)]
    shards = [Usage() for _ in range(cluster.shards)]
    messages = _commit(asked, nodes, shards, cluster.writers, costs, random)
    part("mcp_node", len(nodes), (node.usage for node in nodes))
    for shard in shards:  # what its lock would be held for, in batches as large as possible
        shard.busy = len(shard.waits) * (costs.row + costs.batch / BATCH)
    part("log", len(shards), shards)

    servers = [Servers(CORES) for _ in range(cluster.nats_servers)]
    arrivals = _pass_on(messages, shown, servers, costs, sample)
    for server in servers:
        server.usage.busy /= CORES
    part("nats-server", len(servers), (server.usage for server in servers))

    used = [Usage() for _ in range(sample)]
    deliveries = [
        (arrival.number, arrival.viewers, at - messages[arrival.number].committed)
        for usage, each in zip(used, arrivals, strict=True)
        for arrival, at in drain(
            each,
            message=costs.message,
            room=costs.room,
            viewer=costs.viewer,
            delivery=costs.delivery,
            usage=usage,
        )
    ]
    part("ws_node process", cluster.workers, used)
    to_commit = [message.committed - call.at for message, call in zip(messages, asked, strict=True)]
    return Result(parts, len(messages), deliveries, to_commit)


def _commit(
    asked: Sequence[Call],
    nodes: Sequence[Servers],
    shards: Sequence[Usage],
    count: int,
    costs: Costs,
    random: Random,
) -> list[Message]:
    """The messages, in the order of the calls."""
    count = count or len(nodes)
    waiting: list[list[list[tuple[float, int]]]] = [[[] for _ in range(count)] for _ in shards]
    for number, call in enumerate(asked):
        node = random.randrange(len(nodes))
        ready = nodes[node].serve(call.at, costs.call)
        waiting[call.session % len(shards)][node % count].append((ready, number))
    found: dict[int, Message] = {}
    for usage, writers in zip(shards, waiting, strict=True):
        times = [[at for at, _ in sorted(writer)] for writer in writers]
        done = take_turns(times, costs.batch, costs.row, BATCH, usage)
        for node, (writer, ends) in enumerate(zip(writers, done, strict=True)):
            before, place = -1.0, 0
            for (_, number), end in zip(sorted(writer), ends, strict=True):
                place = place + 1 if end == before else 1  # one after the other
                before = end
                published = end + place * costs.publish
                found[number] = Message(number, asked[number].session, end, published, node)
    return [found[number] for number in range(len(asked))]


def _pass_on(
    messages: Sequence[Message],
    shown: Placement,
    servers: Sequence[Servers],
    costs: Costs,
    sample: int,
) -> list[list[Arrival]]:
    """What the processes of the sample receive, each in order of time.

    Nodes are connected to the servers in turn. A server that receives a message from a node passes
    it to its own subscribers, and once to every server that has some.
    """
    count = len(servers)
    subscribers = [[0] * count for _ in shown]
    for mine, workers in zip(subscribers, shown, strict=True):
        for worker in workers:
            mine[worker % count] += 1
    arrivals: list[list[Arrival]] = [[] for _ in range(sample)]
    due = [(each.published, each.number, each.node % count, True) for each in messages]
    heapq.heapify(due)
    while due:
        at, number, server, first = heapq.heappop(due)
        session = messages[number].session
        mine = subscribers[session]
        others = [other for other in range(count) if first and mine[other] and other != server]
        cost = costs.bus_in + costs.bus_out * (mine[server] + len(others))
        done = servers[server].serve(at, cost)
        for other in others:
            heapq.heappush(due, (done, number, other, False))
        for worker in range(server, sample, count):
            if viewers := shown[session].get(worker):
                arrivals[worker].append(Arrival(done, session, viewers, number))
    for each in arrivals:
        each.sort(key=lambda arrival: arrival.at)
    return arrivals
