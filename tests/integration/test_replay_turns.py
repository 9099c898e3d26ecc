"""Replays of one principal take turns: one that stalls holds up its own, and nobody else."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from tests.clients import frame, frames, is_quiet
from tests.integration.rooms import make_room, say
from tests.pair import Pair
from tests.waiting import PATIENCE

MESSAGES = 120
CONTENT = "x" * 100_000
"""Twelve megabytes: more than a socket's buffers take of a stretch."""


@contextlib.asynccontextmanager
async def stalled(pair: Pair, path: str, agent: str) -> AsyncIterator[None]:
    """A viewer that was told it is subscribed, and reads no more."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, ("127.0.0.1", pair.ws_port))
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{pair.ws_port}"]
        lines += [f"{name}: {value}" for name, value in pair.headers(agent).items()]
        if path.startswith("/ws/"):
            lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
            lines += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
        await loop.sock_sendall(raw, "\r\n".join([*lines, "", ""]).encode())
        heard = b""
        while b'"subscribed"' not in heard:
            heard += await asyncio.wait_for(loop.sock_recv(raw, 1024), PATIENCE)
        yield


async def test_who_stalls_holds_up_its_own_principal_only(tmp_path: Path) -> None:
    bounds = {"MAX_REPLAYS_PER_PRINCIPAL": 1, "ROOM_RING_MESSAGES": 1}
    async with Pair(tmp_path, ws_settings=bounds) as pair:
        await make_room(pair, "room")
        async with pair.rest() as rest:
            said = [await say(rest, "room", CONTENT) for _ in range(MESSAGES)]
        for door in ("ws", "events"):
            async with pair.viewer("room", "alice") as waiting:
                async with stalled(pair, f"/{door}/room?since=0", "alice"):
                    await waiting.send('{"type":"subscribe","since":0}')
                    assert (await frame(waiting))["recovered"] is True
                    await is_quiet(waiting)
                    async with pair.viewer("room", "bob", query="?since=0") as other:
                        assert (await frame(other))["recovered"] is True
                        got = await frames(other, MESSAGES)
                        assert [one["position"] for one in got] == said
                    await is_quiet(waiting)
                got = await frames(waiting, MESSAGES)
                assert [one["position"] for one in got] == said
                await is_quiet(waiting)
