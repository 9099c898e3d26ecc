"""Several worker processes of one ws_node, and the supervisor that starts and stops them.

All workers listen on the same port; with SO_REUSEPORT the kernel gives each connection to one of
them. Each has a PULL socket of its own and follows the log by itself, so each keeps the delivery
guarantee alone. `ws_node.workers.siblings` forwards what a worker received by HTTP to the others.

The supervisor serves no requests. It restarts a worker that dies; the viewers reconnect with
``since``. If the supervisor dies, its workers do too, because their standard input ends.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable
from typing import Final, TypeVar

from proto import keyfile
from proto.errors import ConfigurationError
from proto.settings import Settings, node_url
from serving.process.address import AddressFile, former_port
from serving.process.lockfile import LockFile
from serving.process.server import port_of, reserve
from serving.process.supervisor import Child, Supervisor

LIFELINE: Final = 0
"""Descriptor of a worker's standard input. Nothing is written to it; its end is the signal."""

PATIENCE_SECONDS: Final = 3.0
"""How long `retrying` retries."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


async def supervise(settings: Settings) -> int:
    """Run the workers until told to stop.

    Returns:
        The exit code: 0, or that of a worker which refuses to start.

    Raises:
        ConfigurationError: another ws_node uses the data directory or the port.
    """
    data_dir = keyfile.open_data_dir(settings.data_dir)
    with LockFile(data_dir / "ws.lock", "ws_node"):
        held = await _port(settings, former_port(data_dir, "ws"))
        address = node_url(settings.ws_host, port_of(held))
        with contextlib.closing(held), AddressFile(data_dir, "ws", address):
            return await Supervisor(
                [_worker(number) for number in range(settings.ws_workers)],
                lambda name, line: logger.warning("%s %s", name, line),
                environment={"PARTYLINE_WS_PORT": str(port_of(held))},
                lifeline=True,
            ).run()


async def _port(settings: Settings, former: int) -> socket.socket:
    """Reserve the port of all workers: with WS_PORT=0 that of a killed ws_node, or any.

    Raises:
        ConfigurationError: the port is in use.
    """

    def reserved(port: int) -> socket.socket:
        return reserve(settings.ws_host, port, "PARTYLINE_WS_PORT")

    if not settings.ws_port and former:
        with contextlib.suppress(ConfigurationError):
            return await retrying(lambda: reserved(former))
    return await retrying(lambda: reserved(settings.ws_port))


async def retrying(attempt: Callable[[], T]) -> T:
    """Call ``attempt`` until it succeeds, and return its result.

    Workers of a killed supervisor may keep the port and the locks for a moment.

    Raises:
        ConfigurationError: it still failed after `PATIENCE_SECONDS`.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_SECONDS
    while True:
        try:
            return attempt()
        except ConfigurationError:
            if loop.time() > end:
                raise
        await asyncio.sleep(0.05)


def worker_settings(settings: Settings) -> Settings:
    """The settings of one worker: each limit of the whole node is divided among the workers."""
    workers = settings.ws_workers
    names = ("max_viewers", "max_viewers_per_principal", "max_unsent_node_bytes")
    shares = {name: -(-getattr(settings, name) // workers) for name in names}
    return settings.model_copy(update=shares)


def die_with_supervisor() -> None:
    """Standard input is readable: end the process if that is its end.

    It ends at once, because the next supervisor needs the port and the lock.
    """
    if not os.read(LIFELINE, 1):
        os._exit(1)


def _worker(number: int) -> Child:
    isolated = ["-P"] if sys.flags.safe_path else []
    command = [sys.executable, *isolated, "-m", "ws_node", "--worker", str(number)]
    return Child(f"worker {number}", command)
