"""add_message by 20 agents at once, against no-op tools on the same server.

Each connection calls again as soon as it is answered. The tools take turns of a second or two in
one run, so that whatever else the machine does falls on all alike; the ratio is the median of the
rounds. Both no-ops are given: one without arguments (the least a call can cost here) and one with
add_message's arguments and answer (what remains is rooms, commit and publishing).
"""

from bench.calls import CONTENT, add_message, callers, flood, request
from bench.measured_pair import SESSION, bench_pair, cpu_seconds
from bench.row import Row, median

AGENTS = 20
SHARE = 0.85


async def measure(quick: bool) -> list[Row]:
    """Calls/s of add_message and of both no-ops, and the CPU time of a call."""
    rounds, seconds = (2, 0.5) if quick else (8, 2.0)
    async with bench_pair() as pair, callers(pair, AGENTS) as connections:
        requests = {
            "add_message": [add_message(pair, agent) for agent in range(AGENTS)],
            "noop": [request(pair, "noop", agent) for agent in range(AGENTS)],
            "noop_like_add": [
                request(pair, "noop_like_add", agent, session_id=SESSION, content=CONTENT)
                for agent in range(AGENTS)
            ],
        }
        for warming in requests.values():
            await flood(connections, warming, seconds / 4)
        rates: dict[str, list[float]] = {name: [] for name in requests}
        costs: dict[str, list[float]] = {name: [] for name in requests}
        for _ in range(rounds):
            for name, calls in requests.items():
                before = cpu_seconds(pair.mcp)
                rate = await flood(connections, calls, seconds)
                rates[name].append(rate)
                costs[name].append((cpu_seconds(pair.mcp) - before) / (rate * seconds) * 1e3)
    rows = []
    for reference, against in (("noop", "no-op"), ("noop_like_add", "no-op, same arguments")):
        ratio = median([a / b for a, b in zip(rates["add_message"], rates[reference], strict=True)])
        ours = median(rates["add_message"])
        rows.append(
            Row(
                f"add_message, {AGENTS} agents",
                ours,
                "calls/s",
                ours / ratio,
                against,
                f"≥ {SHARE:.2f} x",
                ratio >= SHARE,
            )
        )
    rows.append(
        Row(
            "CPU of mcp_node per add_message",
            median(costs["add_message"]),
            "ms",
            median(costs["noop"]),
            "no-op",
        )
    )
    return rows
