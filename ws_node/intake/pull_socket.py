"""PULL sockets on the event loop: binding them, and taking what has come."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from proto.errors import ConfigurationError


def bind(socket: zmq.Socket[Any], endpoint: str) -> None:
    """Bind, and let nobody but this user connect to a path.

    The caller holds the lock file: a second bind would steal the path.

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
    socket: zmq.Socket[Any], take_one: Callable[[], None], *, again: Callable[[], None], most: int
) -> None:
    """Take what is there, and come back soon if there may be more.

    The socket's descriptor is edge-triggered: EVENTS is read again after the last message, or one
    that came meanwhile would wait for the next.

    Args:
        socket: watched by the event loop.
        take_one: takes one message; raises zmq.Again if there is none.
        again: called when `most` were taken, once other work had a turn.
        most: messages taken before that.
    """
    if socket.closed:
        return
    for _ in range(most):
        try:
            take_one()
        except zmq.Again:
            if not int(socket.get(zmq.EVENTS)) & zmq.POLLIN:
                return
    asyncio.get_running_loop().call_soon(again)
