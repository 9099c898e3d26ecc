"""``python -m bench.publishing``: a steady publisher.

Followed by ``bridge ENDPOINT EPOCH [BODY_BYTES]``, ``bus PORT EPOCH`` or ``nats PORT``.

A process of its own, so that nothing else holds it up. For each line ``COUNT RATE`` it reads it
sends so many messages at that rate, open loop, and reports when each was handed over
(CLOCK_MONOTONIC in ns).
"""

import sys
import time

from bench.bridge import Bridge
from bench.bus import BusBridge
from bench.child import READY, report
from bench.peers.interface import Publisher
from bench.peers.nats import NatsPublisher


def main(publisher: Publisher) -> None:
    """Publish as told, until there is no more to read."""
    report(READY)
    for line in sys.stdin:
        count, rate = line.split()
        start, times = time.monotonic(), []
        for number in range(int(count)):
            if (early := start + number / float(rate) - time.monotonic()) > 0:
                time.sleep(early)
            times.append(publisher.send())
        report(times)
    publisher.close()


if __name__ == "__main__":
    kind, *where = sys.argv[1:]
    if kind == "bridge":
        endpoint, epoch, *size = where
        main(Bridge(endpoint, epoch, *map(int, size)))
    elif kind == "bus":
        port, epoch = where
        main(BusBridge(int(port), epoch))
    else:
        main(NatsPublisher(int(where[0])))
