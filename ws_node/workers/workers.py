"""Several processes of one ws_node: started, kept running, and stopped by this one.

All of them listen on the one port (SO_REUSEPORT: the kernel gives each connection to one), each
has its own PULL socket and follows the log by itself, so each keeps the delivery guarantee alone.
What came to one by HTTP reaches the others through `ws_node.workers.siblings`.

This process serves nobody. A worker that dies is started again; its viewers come back with
``since``. When this process dies, however, its workers do too: their standard input ends.
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
"""Descriptor of a worker's standard input: it has nothing to say but its end."""

PATIENCE_SECONDS: Final = 3.0

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
    """The port all workers listen on: with WS_PORT 0 the one a killed ws_node had, or any.

    Raises:
        ConfigurationError: somebody else has it.
    """

    def reserved(port: int) -> socket.socket:
        return reserve(settings.ws_host, port, "PARTYLINE_WS_PORT")

    if not settings.ws_port and former:
        with contextlib.suppress(ConfigurationError):
            return await retrying(lambda: reserved(former))
    return await retrying(lambda: reserved(settings.ws_port))


async def retrying(attempt: Callable[[], T]) -> T:
    """What ``take`` gives, once whoever has it lets go.

    Workers may outlive a killed supervisor for a moment.

    Raises:
        ConfigurationError: still not, after `PATIENCE_SECONDS`.
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
    """The settings of one worker: its share of what bounds the whole node."""
    workers = settings.ws_workers
    names = ("max_viewers", "max_viewers_per_principal", "max_unsent_node_bytes")
    shares = {name: -(-getattr(settings, name) // workers) for name in names}
    return settings.model_copy(update=shares)


def die_with_supervisor() -> None:
    """The lifeline has something: end at once if it is its end.

    At once, because the supervisor's successor wants the port and the lock.
    """
    if not os.read(LIFELINE, 1):
        os._exit(1)


def _worker(number: int) -> Child:
    isolated = ["-P"] if sys.flags.safe_path else []
    command = [sys.executable, *isolated, "-m", "ws_node", "--worker", str(number)]
    return Child(f"worker {number}", command)
