"""The websockets library's own answer: ``broadcast()``, which frames once and awaits nobody."""

import asyncio
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from bench.child import READY, report
from bench.peers.pull import Pulled, PullPeer

viewers: set[ServerConnection] = set()


class WebsocketsBroadcast(PullPeer):
    """The peer."""

    name = "websockets.broadcast"
    module = "bench.peers.websockets_broadcast"


async def watch(viewer: ServerConnection) -> None:
    """A viewer comes and stays."""
    viewers.add(viewer)
    try:
        await viewer.wait_closed()
    finally:
        viewers.discard(viewer)


async def main(port: int, endpoint: str) -> None:
    """Serve, and broadcast each message."""
    pulled = Pulled(endpoint)
    async with serve(watch, "127.0.0.1", port, compression=None, ping_interval=None):
        report(READY)
        while True:
            broadcast(viewers, (await pulled.next()).decode())
            await asyncio.sleep(0)  # connections and pings get a turn


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
