"""One message per drain: the next goes out when every viewer has the one before.

What remains is the price of a write to each viewer, in CPU time of the server, kernel included.
"""

from collections.abc import Callable

from bench.peers.interface import Server, cpu_seconds
from bench.viewer_group import Viewers


def deliver(viewers: Viewers, send: Callable[[], object], rounds: int) -> None:
    """Send so many times, waiting each time until every viewer has one more message."""
    target = viewers.slowest
    for _ in range(rounds):
        send()
        target += 1
        while viewers.slowest < target:
            viewers.read(10)


def cost(server: Server, viewers: Viewers, send: Callable[[], object], rounds: int) -> float:
    """CPU microseconds of the server for each delivery."""
    used, done = cpu_seconds(server), viewers.deliveries
    deliver(viewers, send, rounds)
    return (cpu_seconds(server) - used) / (viewers.deliveries - done) * 1e6
