"""Sessions of a real pair: what is added to them, what viewers get, and what the log holds."""

import asyncio
import json
from typing import Any

import httpx
import websockets

from tests.clients import is_quiet, plain_client
from tests.pair import Pair

LAST = "that is all"
"""Content of the public message after which a transcript ends."""


async def make_room(pair: Pair, session_id: str) -> str:
    """A session of that name."""
    async with pair.rest() as rest:
        made = await rest.post("/api/sessions", json={"purpose": "t", "session_id": session_id})
        assert made.status_code == 201, made.text
    return session_id


async def say(rest: httpx.AsyncClient, room: str, content: str, **more: Any) -> int:
    """Add a message over REST; its id."""
    body = {"content": content, **more}
    added = await rest.post(f"/api/sessions/{room}/messages", json=body)
    assert added.status_code == 201, added.text
    return int(added.json()["message_id"])


async def say_last(pair: Pair, room: str) -> int:
    """Add the message that ends every transcript of a room."""
    async with pair.rest() as rest:
        return await say(rest, room, LAST)


async def transcript(viewer: websockets.ClientConnection) -> list[dict[str, Any]]:
    """Every message a viewer gets, the last one left out; nothing comes after that."""
    got: list[dict[str, Any]] = []
    while True:
        one = json.loads(await viewer.recv())
        assert one["type"] == "new_message", one
        assert one["position"] == one["data"]["id"]
        if one["data"]["content"] == LAST:
            await is_quiet(viewer)
            return got
        got.append(one["data"])


async def whole_log(pair: Pair, room: str) -> list[dict[str, Any]]:
    """Every message of a room, last one included, as ws_node may read them: with ``prev``."""
    found: list[dict[str, Any]] = []
    async with pair.service() as mcp:
        through = 0
        while True:
            body = {"session_id": room, "after": through, "limit": 1000}
            answer = await mcp.post("/api/log", json=body)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            if not page["messages"]:
                return found
            found += page["messages"]
            through = page["through"]


async def readiness(url: str) -> tuple[int, dict[str, str]]:
    """What a node's /readyz answers; status 0 if it does not."""
    async with plain_client() as client:
        try:
            answer = await client.get(f"{url}/readyz")
        except httpx.HTTPError:
            return 0, {}
        words = answer.json()
        assert words.pop("address") == url
        return answer.status_code, words


async def status(url: str) -> str | None:
    """The status word of a node's /readyz; None if it does not answer."""
    return (await readiness(url))[1].get("status")


async def broadcast(pair: Pair, room: str, body: Any, **headers: str) -> httpx.Response:
    """Post to /broadcast."""
    async with plain_client() as client:
        return await client.post(f"{pair.ws_url}/broadcast/{room}", json=body, headers=headers)


async def gathered(*awaitables: Any, within: float = 90.0) -> list[Any]:
    """All results, in bounded time."""
    async with asyncio.timeout(within):
        return list(await asyncio.gather(*awaitables))
