"""The pair under measurement, and what the operating system says of its processes."""

import resource
from typing import Any

import psutil  # type: ignore[import-untyped]

from tests.node_process import Node
from tests.pair import Pair

SESSION = "bench"


def bench_pair(**settings: Any) -> Pair:
    """Both real nodes; mcp_node comes up through `bench.node`, which adds what is measured with."""
    pair = Pair(**{"LOG_LEVEL": "ERROR", "MESSAGES_PER_MINUTE": 0, **settings})
    pair.mcp.module = "bench.node"
    return pair


def allow_open_files() -> int:
    """Raise this process's limit of open files (children inherit it) to what is permitted."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def process(node: Node) -> psutil.Process:
    """The operating system's view of a running node."""
    assert node.process is not None
    return psutil.Process(node.process.pid)


def cpu_seconds(node: Node) -> float:
    """CPU time a node has used, kernel included."""
    used = process(node).cpu_times()
    return float(used.user + used.system)


def resident_bytes(node: Node) -> int:
    """Resident memory of a node."""
    return int(process(node).memory_info().rss)
