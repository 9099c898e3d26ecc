"""ZeroMQ sockets on the event loop: binding them, and receiving what has arrived."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from proto.errors import ConfigurationError


def bind(socket: zmq.Socket[Any], endpoint: str) -> None:
    """Bind a socket. Only this user may connect to an ``ipc://`` endpoint.

    The caller holds the lock file: a second bind would take over the path.

    Raises:
        ConfigurationError: the endpoint cannot be bound.
    """
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise ConfigurationError(
            f"the bridge {endpoint} cannot be bound ({error.strerror}); "
            "set PARTYLINE_DATA_DIR or PARTYLINE_BRIDGE_ENDPOINT"
        ) from None
    if endpoint.startswith("ipc://"):
        os.chmod(Path(endpoint.removeprefix("ipc://")), 0o600)


def drain(
    socket: zmq.Socket[Any],
    receive: Callable[[], None],
    *,
    again: Callable[[], None],
    batch: int,
) -> None:
    """Receive every message that waits, ``batch`` of them at once.

    Args:
        socket: its descriptor is watched by the event loop.
        receive: receives one message; raises zmq.Again if there is none.
        again: called soon after ``batch`` messages, so that other work gets a turn.
        batch: messages received before that.
    """
    if socket.closed:
        return
    for _ in range(batch):
        try:
            receive()
        except zmq.Again:
            # The descriptor is edge-triggered. A message that arrived since the last one was
            # received would not be signalled again, so EVENTS is read once more.
            if not int(socket.get(zmq.EVENTS)) & zmq.POLLIN:
                return
    asyncio.get_running_loop().call_soon(again)
