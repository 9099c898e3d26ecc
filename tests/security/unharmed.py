"""The proof that an attack did nothing: no message stored, no frame sent, both nodes serving."""

import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from tests.clients import frame
from tests.pair import Pair
from tests.security.asking import JSON, Answer, ask, broadcast

MARK: Final = "xYzzY-mArK"
"""Stands in everything an attacker sends that must not come back or be logged."""

_INTERNAL: Final = re.compile(
    r"Traceback|File \"|site-packages|/home/|/tmp/|\.py\b|sqlite|pydantic|input_value|msgspec"
    r"|starlette|uvicorn|fastmcp|Exception|Error\(|0x[0-9a-f]{6}|errors\.pydantic",
    re.IGNORECASE,
)


def new_room() -> str:
    return f"room-{secrets.token_hex(6)}"


def clean(answer: Answer) -> Answer:
    """``answer``, which echoes nothing the caller sent and tells nothing of the inside."""
    assert MARK not in answer.text, answer
    assert MARK not in str(dict(answer.headers)), answer
    found = _INTERNAL.search(answer.text)
    assert found is None, (found, answer.text)
    return answer


async def log_head(pair: Pair) -> int:
    """The last id of the whole log."""
    answer = await ask(pair.mcp_socket, "GET", "/api/heads?after=0")
    assert answer.status == 200, answer
    return int(answer.result["head"])


async def room_names(pair: Pair) -> set[str]:
    """Every session there is (the newest thousand)."""
    headers = pair.headers("boss", scopes="read,admin")
    answer = await ask(pair.mcp_url, "GET", "/api/sessions?limit=1000", headers)
    assert answer.status == 200, answer
    return {one["session_id"] for one in answer.result["sessions"]}


async def make_room(pair: Pair, room: str | None = None) -> str:
    """A session, made by ``host``."""
    room = room or new_room()
    body = b'{"purpose":"attacks","session_id":"%b"}' % room.encode()
    headers = {**JSON, **pair.headers("host")}
    answer = await ask(pair.mcp_url, "POST", "/api/sessions", headers, body)
    assert answer.status == 201, answer
    return room


async def add(pair: Pair, room: str, **body: Any) -> int:
    """A proper message of ``host`` (or ``agent``); its id."""
    agent, kind = body.pop("agent", "host"), body.pop("kind", "claude")
    headers = pair.headers(agent, kind=kind, scopes=body.pop("scopes", "read,write"))
    url = f"/api/sessions/{room}/messages"
    answer = await ask(pair.mcp_url, "POST", url, {**JSON, **headers}, json.dumps(body).encode())
    assert answer.status == 201, answer
    return int(answer.result["message_id"])


@asynccontextmanager
async def unharmed(pair: Pair, room: str | None = None) -> AsyncIterator[str]:
    """A room that an all-seeing viewer watches, in which nothing happens during the block.

    Afterwards a proper event and a proper message are the first frames the viewer gets, the
    message takes the log's very next id, and no session was made: both nodes live and serve.
    """
    room = room or await make_room(pair)
    rooms, head = await room_names(pair), await log_head(pair)
    async with pair.viewer(room, "boss", scopes="read,write,admin") as viewer:
        yield room
        posted = await broadcast(pair, room, b'{"type":"sentinel","data":{}}')
        assert posted.text == f'{{"success":true,"session_id":"{room}"}}', posted
        first = await frame(viewer)
        assert first["type"] == "sentinel", first
        added = await add(pair, room, content="still here")
        assert added == head + 1
        second = await frame(viewer)
        assert (second["position"], second["data"]["content"]) == (added, "still here")
    assert await room_names(pair) == rooms
