"""The simulation of large deployments: its queues, what it conserves, and what it reproduces."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.scale.__main__ import main
from bench.scale.cluster import CORES, Cluster, needed, place, reach
from bench.scale.costs import FIGURES, SLOWER, Costs, fitted, measured, table
from bench.scale.load import Load, calls, make_load, zipf
from bench.scale.queues import Arrival, Servers, Usage, drain, take_turns
from bench.scale.search import saturations
from bench.scale.simulation import BATCH, Result, simulate

COSTS = measured()
TIMES = st.lists(st.floats(0, 10), max_size=30).map(sorted)
CLUSTERS = st.builds(
    Cluster,
    mcp_nodes=st.integers(1, 4),
    shards=st.integers(1, 3),
    writers=st.integers(0, 3),
    nats_servers=st.integers(1, 4),
    workers=st.integers(1, 6),
    by_session=st.booleans(),
)


def run(load: Load, cluster: Cluster, costs: Costs = COSTS, seconds: float = 1.0) -> Result:
    """A simulation of all processes of ws_node."""
    shown = place(load, cluster, Random(1))
    return simulate(load, cluster, costs, shown, seconds=seconds, sample=cluster.workers, seed=1)


# The load


@given(st.integers(0, 10_000), st.floats(0, 500), st.integers(50, 300), st.floats(0, 2))
def test_the_load_has_what_was_asked_for_and_no_session_more_than_allowed(
    viewers: int, messages: float, sessions: int, exponent: float
) -> None:
    load = make_load(viewers, messages, sessions, exponent, fastest=10.0)
    assert sum(load.viewers) == viewers
    assert load.messages == pytest.approx(messages)
    assert max(load.rates) <= 10.0 + 1e-9
    assert min(load.rates) >= 0
    assert min(load.viewers) >= 0


def test_what_the_first_sessions_may_not_write_the_others_write() -> None:
    assert make_load(0, 100, 20, 1.0, fastest=20.0).rates[0] == 20.0
    assert make_load(0, 100, 20, 1.0, fastest=1_000.0).rates[0] == pytest.approx(
        100 * zipf(20, 1)[0]
    )
    with pytest.raises(ValueError, match="20 sessions cannot have 401 messages/s"):
        make_load(0, 401, 20, 1.0, fastest=20.0)


def test_calls_come_at_the_rates_of_their_sessions() -> None:
    found = calls(Load([0, 0], [300.0, 100.0]), 10.0, Random(1))
    counts = Counter(call.session for call in found)
    assert counts[0] == pytest.approx(3_000, rel=0.06)
    assert counts[1] == pytest.approx(1_000, rel=0.1)
    assert [call.at for call in found] == sorted(call.at for call in found)


# The queues


@given(TIMES, st.floats(0.001, 2), st.integers(1, 4))
def test_servers_are_never_idle_while_something_waits(
    times: list[float], seconds: float, count: int
) -> None:
    servers = Servers(count)
    done = [servers.serve(at, seconds) for at in times]
    for number, (at, end) in enumerate(zip(times, done, strict=True)):
        free = done[number - count] if number >= count else 0.0
        assert end == pytest.approx(max(at, free) + seconds)


def test_a_server_makes_work_wait_as_the_formula_says() -> None:
    """M/D/1: the mean time in the queue is used / (2 * (1 - used)) times that of the service."""
    arrivals = calls(Load([0], [60.0]), 1_000.0, Random(1))
    server = Servers(1)
    waits = [server.serve(call.at, 0.01) - call.at - 0.01 for call in arrivals]
    assert sum(waits) / len(waits) == pytest.approx(0.01 * 0.6 / (2 * 0.4), rel=0.05)


@given(st.lists(TIMES, max_size=4), st.floats(0.01, 2), st.floats(0.001, 1), st.integers(1, 5))
def test_writers_commit_everything_once_in_order_under_one_lock(
    writers: list[list[float]], batch: float, row: float, most: int
) -> None:
    usage = Usage()
    done = take_turns(writers, batch, row, most, usage)
    held = []
    for times, ends in zip(writers, done, strict=True):
        assert len(ends) == len(times)
        assert ends == sorted(ends)
        assert all(end >= at + batch + row - 1e-9 for at, end in zip(times, ends, strict=True))
        sizes = Counter(ends)
        assert max(sizes.values(), default=0) <= most
        held += [(end - batch - row * size, end) for end, size in sizes.items()]
    held.sort()
    for (_, end), (begin, _) in pairwise(held):
        assert begin >= end - 1e-9
    assert usage.busy == pytest.approx(sum(end - begin for begin, end in held))
    assert len(usage.waits) == sum(map(len, writers))


def test_a_batch_has_what_came_while_the_writer_was_committing() -> None:
    assert take_turns([[0.0, 0.1, 0.2, 5.0]], 1.0, 0.1, 10, Usage()) == [
        pytest.approx([1.1, 2.3, 2.3, 6.1])
    ]


@given(TIMES, st.data())
def test_a_process_writes_each_message_once_in_order_with_its_room(
    times: list[float], data: st.DataObject
) -> None:
    arrivals = [
        Arrival(at, data.draw(st.integers(0, 2)), data.draw(st.integers(1, 9)), number)
        for number, at in enumerate(times)
    ]
    usage = Usage()
    ends = dict(drain(arrivals, message=0.1, room=0.2, viewer=0.03, delivery=0.01, usage=usage))
    assert sorted(arrival.number for arrival in ends) == list(range(len(times)))
    for session in range(3):
        mine = [ends[each] for each in arrivals if each.session == session]
        assert mine == sorted(mine)
    for arrival, end in ends.items():
        assert end >= arrival.at + 0.1 + 0.2 - 1e-9
    assert usage.busy <= sum(0.3 + 0.04 * 9 for _ in times) + 1e-9


# The whole


@settings(max_examples=25)
@given(CLUSTERS, st.lists(st.integers(0, 20), min_size=1, max_size=8), st.floats(1, 200))
def test_every_message_reaches_every_viewer_of_its_session_once(
    cluster: Cluster, viewers: list[int], messages: float
) -> None:
    load = Load(viewers, [messages / len(viewers)] * len(viewers))
    result = run(load, cluster)
    sessions = [call.session for call in calls(load, 1.0, Random(1))]
    assert result.messages == len(sessions)
    received: Counter[int] = Counter()
    for message, count, seconds in result.deliveries:
        received[message] += count
        assert seconds > 0
    for message, session in enumerate(sessions):
        assert received[message] == viewers[session]


@given(st.integers(1, 500), st.integers(1, 3))
def test_an_idle_system_needs_the_sum_of_all_services(viewers: int, nats_servers: int) -> None:
    load = Load([viewers], [0.05])
    result = run(load, Cluster(nats_servers=nats_servers), seconds=100)
    assert result.messages == len(result.to_commit) == len(result.deliveries) > 0
    assert max(result.to_commit) == pytest.approx(COSTS.call + COSTS.batch + COSTS.row)
    ws = COSTS.message + COSTS.room + viewers * (COSTS.viewer + COSTS.delivery)
    assert result.to_viewer(0.5) == pytest.approx(result.to_viewer(1.0))
    assert result.to_viewer(0.5) == pytest.approx(COSTS.publish + COSTS.bus_in + COSTS.bus_out + ws)


def test_each_part_is_as_busy_as_its_work_says() -> None:
    load = Load([1, 1, 1, 1], [50.0] * 4)
    cluster = Cluster(mcp_nodes=2, shards=2, nats_servers=2, workers=3)
    result = run(load, cluster, seconds=20)
    rate = result.messages / 20
    bus = rate * (COSTS.bus_in + COSTS.bus_out)
    expected = {
        "mcp_node": rate * COSTS.call / 2,
        "log": rate * (COSTS.row + COSTS.batch / BATCH) / 2,
        "ws_node process": rate * (COSTS.message + COSTS.room + COSTS.viewer) / 3,
    }
    used = {part.name: part.used[0] for part in result.parts}
    for name, share in expected.items():
        assert used[name] == pytest.approx(share, rel=0.05), name
    assert bus <= used["nats-server"] * 2 * CORES <= 2.1 * bus  # in and out again
    assert not any(part.saturated for part in result.parts)


@pytest.mark.parametrize("by_session", [False, True])
def test_the_processes_that_show_a_session_are_as_many_as_foreseen(by_session: bool) -> None:
    cluster = Cluster(workers=20, by_session=by_session)
    load = Load([30] * 300 + [9_000], [0.0] * 301)
    shown = place(load, cluster, Random(1))
    expected = 300 * reach(30, 20, by_session) + reach(9_000, 20, by_session)
    assert sum(map(len, shown)) == pytest.approx(expected, rel=0.02)
    assert [sum(each.values()) for each in shown] == load.viewers


def test_a_cluster_of_the_size_that_is_needed_keeps_up_except_for_the_log() -> None:
    load = make_load(20_000, 4_000, 2_000)
    cluster = needed(load, COSTS, 0.5, by_session=False)
    result = run(load, replace(cluster, shards=2, writers=2))
    for part in result.parts:
        assert part.used[1] < 0.7, part
        assert not part.saturated, part


# What was measured, and is no parameter


def test_1000_viewers_at_1000_messages_cost_what_was_measured() -> None:
    costs = replace(COSTS, call=0, batch=0, row=0)
    result = run(Load([1_000], [1_000.0]), Cluster(), costs, seconds=5)
    (ws,) = (part for part in result.parts if part.name == "ws_node process")
    deliveries = sum(viewers for _, viewers, _ in result.deliveries)
    assert ws.used[0] * 5 / deliveries * 1e6 == pytest.approx(0.982, rel=0.1)
    assert result.to_viewer(0.5) * 1e3 == pytest.approx(4.06, rel=0.3)


def test_the_costs_of_a_commit_reproduce_the_rates_with_1_20_and_200_callers() -> None:
    batch, row = fitted(20, 2_865, 200, 6_060)
    assert (batch / SLOWER, row / SLOWER) == pytest.approx((COSTS.batch, COSTS.row), rel=0.001)
    assert 1 / (batch + row) == pytest.approx(404, rel=0.15)  # measured, not fitted


def test_every_cost_has_a_figure_with_its_source() -> None:
    assert all(figure.source for figure in FIGURES)
    assert all(f"| {figure.name} |" in table() for figure in FIGURES)


# What saturates


def test_the_log_saturates_first_and_then_what_is_next() -> None:
    cluster = Cluster(mcp_nodes=40, workers=2)
    load = make_load(200, 8_000, 5_000)
    shown = place(load, cluster, Random(1))
    found = list(
        saturations(
            lambda messages: make_load(200, messages, 5_000, fastest=100.0),
            cluster,
            COSTS,
            shown,
            8_000,
            64_000,
            seconds=1.0,
            sample=1,
            seed=1,
        )
    )
    assert [each.part for each in found] == ["log", "mcp_node"]
    log, mcp_node = found
    assert 14_000 < log.holds < log.fails < 26_000  # 1 / row is 20,750
    assert 40_000 < mcp_node.holds < mcp_node.fails < 62_000  # 40 / call is 47,450


def test_the_command_prints_needs_and_results(capsys: pytest.CaptureFixture[str]) -> None:
    options = "--viewers 1000 --messages 5000 --sessions 1000 --shards 2 --seconds 0.2"
    main(options.split())
    text = capsys.readouterr().out
    assert "load: 1,000 viewers, 5,000 messages/s, 1,000 sessions" in text
    assert "9 mcp_nodes, a log of 2 shard(s)" in text
    assert "commit to viewer: p50" in text
    main(["--costs"])
    assert "| call | 843 µs | 843 µs | table: CPU of mcp_node" in capsys.readouterr().out
