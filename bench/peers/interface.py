"""What a measurement asks of a server, ours or a peer."""

from typing import Protocol, Self

import psutil  # type: ignore[import-untyped]

from bench.viewer_group import Viewers


class Missing(Exception):
    """The peer is not installed; the message says how it would be."""


class Publisher(Protocol):
    """Who sends messages, numbered from 1.

    Attributes:
        sent: how many were sent.
    """

    sent: int

    def send(self) -> int:
        """Send one; when that was (CLOCK_MONOTONIC in ns)."""

    def burst(self, count: int) -> None:
        """Send up to so many without waiting."""

    def close(self) -> None:
        """Close, once what was sent is on its way."""


class Server(Protocol):
    """A running server, entered with ``async with``.

    Attributes:
        name: what tables call it.
        publishing: the arguments with which `bench.publishing` makes a `Publisher` of its own.
    """

    name: str

    async def __aenter__(self) -> Self:
        """Start; raises `Missing`."""

    async def __aexit__(self, *error: object) -> None:
        """Make sure it is gone."""

    @property
    def publishing(self) -> tuple[object, ...]: ...

    @property
    def process(self) -> psutil.Process:
        """Its process, for CPU time and memory."""

    def connect(self, count: int) -> Viewers:
        """So many viewers that get every message from now on; blocks."""

    def publisher(self) -> Publisher:
        """A publisher in this process."""


def cpu_seconds(server: Server) -> float:
    """CPU time a server has used, kernel included."""
    used = server.process.cpu_times()
    return float(used.user + used.system)
