"""Clients of the nodes: plain HTTP, and the frames that viewers get."""

import asyncio
import json
import ssl
from typing import Any

import httpx
import websockets

from tests.waiting import PATIENCE

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Both nodes speak plain HTTP; without this every client loads all CAs, 25 ms of a core."""

UNANSWERED = (httpx.HTTPError, AttributeError)
"""What a client raises when a node dies under it; the second while it connects, with uvloop."""


def plain_client(**options: Any) -> httpx.AsyncClient:
    """An HTTP client for a node, cheap to make: no proxies, no certificates."""
    return httpx.AsyncClient(trust_env=False, verify=NO_TLS, **{"timeout": PATIENCE, **options})


def whole(message: dict[str, Any]) -> dict[str, Any]:
    """A message of a tool's result, with the fields that tools leave out where they are empty."""
    return {"metadata": {}, "parent_message_id": None, **message}


async def frame(viewer: Any, within: float = PATIENCE) -> dict[str, Any]:
    """The next frame a viewer gets."""
    received = await asyncio.wait_for(viewer.recv(), within)
    decoded = json.loads(received)
    assert isinstance(decoded, dict)
    return decoded


async def frames(viewer: Any, count: int, within: float = PATIENCE) -> list[dict[str, Any]]:
    """The next ``count`` frames."""
    async with asyncio.timeout(within):
        return [json.loads(await viewer.recv()) for _ in range(count)]


async def is_quiet(viewer: Any) -> None:
    """Nothing is on its way to a viewer but the answer to this ping."""
    await viewer.send('{"type":"ping"}')
    assert await frame(viewer) == {"type": "pong"}


async def closed_with(viewer: Any) -> int:
    """The code with which a viewer is closed, without being sent anything before."""
    try:
        received = await asyncio.wait_for(viewer.recv(), PATIENCE)
    except websockets.ConnectionClosed as closed:
        assert closed.rcvd is not None
        return closed.rcvd.code
    raise AssertionError(f"it is not closed, but was sent {received!r}")
