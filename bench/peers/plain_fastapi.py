"""The loop everybody writes first: FastAPI, ``await ws.send_text`` to one viewer after another.

uvicorn as it is installed (uvloop, its default WebSocket protocol), but without its log, and
without pings: the bench's viewers answer none and would be closed after 40 s.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from bench.child import READY, report
from bench.peers.pull import Pulled, PullPeer

viewers: set[WebSocket] = set()


class PlainFastAPI(PullPeer):
    """The peer."""

    name = "plain FastAPI"
    module = "bench.peers.plain_fastapi"


async def relay(pulled: Pulled) -> None:
    """Send each message to every viewer."""
    while True:
        text = (await pulled.next()).decode()
        for viewer in list(viewers):
            with suppress(RuntimeError, WebSocketDisconnect):
                await viewer.send_text(text)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Relay for as long as the app runs."""
    relaying = asyncio.create_task(relay(Pulled(sys.argv[2])))
    yield
    relaying.cancel()


app = FastAPI(lifespan=lifespan)


@app.websocket("/ws/{session_id}")
async def watch(viewer: WebSocket, session_id: str) -> None:
    """A viewer comes and stays."""
    viewers.add(viewer)  # before it knows that it is in: nothing is missed
    await viewer.accept()
    try:
        while True:
            await viewer.receive_text()
    except WebSocketDisconnect:
        viewers.discard(viewer)


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup()
        report(READY)


if __name__ == "__main__":
    _Server(
        uvicorn.Config(app, port=int(sys.argv[1]), log_level="error", ws_ping_interval=None)
    ).run()
