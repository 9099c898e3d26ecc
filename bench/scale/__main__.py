"""``python -m bench.scale``: what a load needs, how busy each part is, and what saturates first.

A pure computation. Its figures are in `bench.scale.costs`; what it leaves out (the network's own
delays, other tools than add_message, viewers that come and go) is in docs/cluster.md.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from random import Random

from bench.scale.cluster import CORES, WORKERS, Cluster, needed, place, reach
from bench.scale.costs import LOGS, Costs, measured, table
from bench.scale.load import Load, make_load
from bench.scale.search import saturations
from bench.scale.simulation import Result, simulate

DOUBLINGS = (1 / 16, 4)
"""From which to which multiple of the load ``--find`` looks for what saturates."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate what the options say, and print the results."""
    options = _parser().parse_args(arguments)
    if options.costs:
        print(table())
        return
    costs = measured(options.log)
    load_of = partial(
        make_load,
        options.viewers,
        sessions=options.sessions,
        exponent=options.zipf,
        fastest=options.fastest,
    )
    load = load_of(options.messages)
    by_session = options.placement == "session"
    cluster = needed(load, costs, options.most_used, by_session=by_session)
    names = ("mcp_nodes", "shards", "writers", "nats_servers", "workers")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    cluster = replace(cluster, **given)
    shown = place(load, cluster, Random(options.seed))
    _print_needs(load, cluster, costs)
    begin = time.monotonic()
    settings = {"seconds": options.seconds, "sample": options.sample, "seed": options.seed}
    result = simulate(load, cluster, costs, shown, **settings)
    _print_result(result, options.seconds)
    if options.find:
        least, most = (options.messages * factor for factor in DOUBLINGS)
        print(f"\nwhat saturates in this cluster, up to {most:,.0f} messages/s:")
        for each in saturations(load_of, cluster, costs, shown, least, most, **settings):
            print(
                f"  {each.part}, between {each.holds:,.0f} and {each.fails:,.0f};"
                " from here on as if there were enough of it",
                flush=True,
            )
    print(f"\n{time.monotonic() - begin:.0f} s of computing, seed {options.seed}")


def _print_needs(load: Load, cluster: Cluster, costs: Costs) -> None:
    messages, workers = load.messages, cluster.workers
    nodes = -(-workers // WORKERS)
    shown = [reach(viewers, workers, cluster.by_session) for viewers in load.viewers]
    received = sum(rate * each for rate, each in zip(load.rates, shown, strict=True))
    memory = sum(load.viewers) * costs.viewer_bytes + sum(shown) * costs.room_bytes
    mega = 1e6 / 8
    print(
        f"load: {sum(load.viewers):,} viewers, {messages:,.0f} messages/s,"
        f" {len(load.viewers):,} sessions; {load.deliveries:,.0f} deliveries/s\n"
        f"  the first session has {load.viewers[0]:,} viewers and {load.rates[0]:,.1f} messages/s\n"
        f"cluster: {cluster.mcp_nodes:,} mcp_nodes, a log of {cluster.shards} shard(s),"
        f" {cluster.nats_servers} nats-servers of {CORES} cores,\n"
        f"  {workers:,} processes of ws_node ({nodes:,} nodes of {WORKERS})\n"
        f"a process of ws_node receives {received / workers:,.0f} messages/s,"
        f" has {sum(load.viewers) / workers:,.0f} viewers, {memory / workers / 1e6:,.0f} MB for"
        " them\n"
        f"network: {load.deliveries * costs.frame_bytes / mega:,.0f} Mbit/s to viewers"
        f" ({load.deliveries * costs.frame_bytes / mega / nodes:,.0f} from each ws_node),"
        f" {received * costs.bus_bytes / mega:,.0f} Mbit/s from the bus\n"
        f"PostgreSQL: {messages * costs.wal_bytes / 1e6:,.0f} MB/s of write-ahead log,"
        f" {messages * costs.stored_bytes * 86_400 / 1e12:,.2f} TB a day in tables\n"
        f"comparing heads: {messages * workers:,.0f} rows/s,"
        f" {messages * workers * costs.heads_row:,.1f} cores of mcp_nodes and PostgreSQL\n"
    )


def _print_result(result: Result, seconds: float) -> None:
    print(f"{seconds:g} s simulated, {result.messages:,} messages")
    for part in result.parts:
        mean, most = part.used
        note = "  SATURATED: what waits grows" if part.saturated else ""
        print(f"  {part.name:<16} x {part.count:<6,} busy {mean:7.1%}, busiest {most:7.1%}{note}")
    ordered = sorted(result.to_commit)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1e3 for share in (0.5, 0.99))
    print(f"  call to commit:   p50 {p50:,.2f} ms, p99 {p99:,.2f} ms")
    p50, p99 = (result.to_viewer(share) * 1e3 for share in (0.5, 0.99))
    print(f"  commit to viewer: p50 {p50:,.2f} ms, p99 {p99:,.2f} ms")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    add = parser.add_argument
    add("--viewers", type=int, default=1_000_000)
    add("--messages", type=float, default=100_000, help="per second, of all sessions")
    add("--sessions", type=int, default=100_000)
    add("--zipf", type=float, default=1.0, help="exponent: how unequal sessions are; 0: equal")
    add("--fastest", type=float, default=20.0, help="most messages/s of one session")
    add("--shards", type=int, help="of the log; 1 is what exists")
    add("--writers", type=int, help="processes that commit to each shard; else every mcp_node")
    add("--log", choices=LOGS, default="product", help="how the log appends")
    add("--placement", choices=("any", "session"), default="any", help="of viewers, by balancers")
    add("--most-used", type=float, default=0.5, help="share of the time that parts may be busy")
    add("--mcp-nodes", type=int, help="instead of as many as needed")
    add("--nats-servers", type=int, help="the same")
    add("--workers", type=int, help="processes of ws_node, the same")
    add("--seconds", type=float, default=1.0, help="to simulate")
    add("--sample", type=int, default=8, help="processes of ws_node simulated in detail")
    add("--seed", type=int, default=1)
    add("--find", action="store_true", help="double the load until each part saturates")
    add("--costs", action="store_true", help="print the measured figures and their sources")
    return parser


if __name__ == "__main__":
    main()
