"""``python -m bench.hop push|pull ENDPOINT COUNT RATE``: a raw pyzmq hop between two processes.

The least a bridge over ZeroMQ can take: PUSH to PULL over ipc, both blocking, the three frames of
a real message. The puller reports each message's nanoseconds from before ``send`` to after
``recv`` (CLOCK_MONOTONIC).
"""

import sys
import time

import zmq

from bench.child import READY, Child, report

BODY = b"." * 450
"""About the size of the frame of a 256-byte message."""


async def hop(endpoint: str, count: int, rate: float) -> list[int]:
    """Nanoseconds each of ``count`` messages took, between two processes started for it."""
    async with (
        Child("bench.hop", "pull", endpoint, count, rate) as pulling,
        Child("bench.hop", "push", endpoint, count, rate),
    ):
        took: list[int] = await pulling.found()
        return took


def push(endpoint: str, count: int, rate: float) -> None:
    """Send at a steady rate."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.connect(endpoint)
        report(READY)
        start = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
            socket.send_multipart([b"bench", b"%d" % time.monotonic_ns(), BODY])
        report(count)


def pull(endpoint: str, count: int) -> None:
    """Receive, and note how long each took."""
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.bind(endpoint)
        report(READY)
        took = []
        for _ in range(count):
            _, sent, _ = socket.recv_multipart()
            took.append(time.monotonic_ns() - int(sent))
        report(took)


if __name__ == "__main__":
    role, endpoint, count, rate = sys.argv[1:]
    if role == "push":
        push(endpoint, int(count), float(rate))
    else:
        pull(endpoint, int(count))
