"""Who sees what, the same on every path: live, replayed, by tool and over REST."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets
from fastmcp import Client
from fastmcp.exceptions import ToolError

from tests.clients import closed_with, frame, is_quiet, plain_client, whole
from tests.integration.rooms import LAST
from tests.pair import Pair

LEVELS = ("public", "private", "agent_only", "admin_only")
SENDER = {"agent": "alice", "kind": "claude", "scopes": "read,write,admin"}

READERS: dict[str, dict[str, Any] | None] = {
    "the sender itself": {"agent": "alice", "kind": "claude"},
    "another agent of its type": {"agent": "bob", "kind": "claude"},
    "an agent of another type": {"agent": "carol", "kind": "codex"},
    "an admin of another type": {"agent": "dave", "kind": "codex", "scopes": "read,admin"},
    "somebody without a name": None,
    "a token for other sessions": {"agent": "erin", "kind": "claude", "sessions": ["elsewhere"]},
}
SEES = {
    "the sender itself": {"public", "private", "agent_only"},
    "another agent of its type": {"public", "agent_only"},
    "an agent of another type": {"public"},
    "an admin of another type": {"public", "agent_only", "admin_only"},
    "somebody without a name": {"public"},
    "a token for other sessions": set(),
}


class Reader:
    """One reader's four ways to read a room; a pair with AUTH=off verifies tokens all the same."""

    def __init__(self, pair: Pair, room: str, rights: dict[str, Any] | None) -> None:
        self.pair, self.room = pair, room
        self.token = None if rights is None else pair.token(**rights)
        self.headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def viewer(self, query: str = "") -> websockets.connect:
        """A socket."""
        return websockets.connect(
            f"ws://127.0.0.1:{self.pair.ws_port}/ws/{self.room}{query}",
            additional_headers=self.headers,
            compression=None,
            proxy=None,
        )

    async def by_tool(self) -> list[dict[str, Any]]:
        """get_messages."""
        async with Client(f"{self.pair.mcp_url}/mcp", auth=self.token) as client:
            page = await client.call_tool("get_messages", {"session_id": self.room})
            return [whole(one) for one in page.structured_content["messages"]]

    @contextlib.asynccontextmanager
    async def rest(self) -> AsyncIterator[httpx.AsyncClient]:
        """The API."""
        async with plain_client(base_url=self.pair.mcp_url, headers=self.headers) as client:
            yield client

    async def by_rest(self) -> list[dict[str, Any]]:
        """GET /api/sessions/…/messages."""
        async with self.rest() as client:
            answer = await client.get(f"/api/sessions/{self.room}/messages")
            assert answer.status_code == 200
            return answer.json()["messages"]


async def until_last(viewer: websockets.ClientConnection) -> list[dict[str, Any]]:
    """What a viewer gets, the last message included."""
    got = []
    while not got or got[-1]["content"] != LAST:
        got.append((await frame(viewer))["data"])
    await is_quiet(viewer)
    return got


async def post(author: Reader, content: str, visibility: str) -> int:
    async with author.rest() as client:
        answer = await client.post(
            f"/api/sessions/{author.room}/messages",
            json={"content": content, "visibility": visibility},
        )
        assert answer.status_code == 201, answer.text
        return int(answer.json()["message_id"])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("who", READERS)
async def test_every_path_shows_what_its_reader_may_see(
    pair: Pair, open_pair: Pair, name: str, who: str, level: str
) -> None:
    where = open_pair if READERS[who] is None else pair
    author, reader = Reader(where, name, SENDER), Reader(where, name, READERS[who])
    async with author.rest() as client:
        made = await client.post("/api/sessions", json={"purpose": "t", "session_id": name})
        assert made.status_code == 201
    if who == "a token for other sessions":
        await post(author, "hidden", level)
        await post(author, LAST, "public")
        await stays_out(reader)
        return

    async with reader.viewer() as viewer:
        id_ = await post(author, "shown", level)
        last = await post(author, LAST, "public")
        live = await until_last(viewer)
    expected = [(id_, level)] if level in SEES[who] else []
    expected.append((last, "public"))
    async with reader.viewer("?since=0") as late:
        subscribed = await frame(late)
        assert (subscribed["type"], subscribed["recovered"]) == ("subscribed", True)
        replayed = await until_last(late)

    for messages in (live, replayed, await reader.by_tool(), await reader.by_rest()):
        assert [(one["id"], one["visibility"]) for one in messages] == expected
        assert messages == live


async def stays_out(reader: Reader) -> None:
    """A token that does not cover a room sees neither it nor whether it exists."""
    for query in ("", "?since=0"):
        async with reader.viewer(query) as viewer:
            assert await closed_with(viewer) == 4501
    with pytest.raises(ToolError, match="SESSION_NOT_FOUND"):
        await reader.by_tool()
    async with reader.rest() as client:
        there = await client.get(f"/api/sessions/{reader.room}/messages")
        nowhere = await client.get("/api/sessions/no-such-room/messages")
        assert (there.status_code, there.json()) == (404, nowhere.json())
        listed = (await client.get("/api/sessions")).json()["sessions"]
        assert reader.room not in {session["session_id"] for session in listed}
