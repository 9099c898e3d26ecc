"""Somebody else has a node's port while the node is away: learns nothing, and is not believed."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import frame, plain_client
from tests.commands import partyline
from tests.integration.rooms import make_room, say
from tests.links.redeeming import live_link
from tests.pair import Pair
from tests.waiting import until

SERVICE = [
    ("GET", "/api/heads?after=0", None),
    ("GET", "/api/revocations", None),
    ("GET", "/api/links", None),
    ("POST", "/api/links", {"kind": "login"}),
    ("POST", "/api/log", {"session_id": "room", "after": 0, "limit": 100}),
    ("POST", "/api/prune", {"before": "2026-01-01T00:00:00Z", "after": 0, "dry_run": True}),
]


class FalseNode:
    """Listens on a port, keeps what it is sent, and answers everything with a log of its own."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.bodies: list[bytes] = []

    @contextlib.asynccontextmanager
    async def at(self, port: int) -> AsyncIterator["FalseNode"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.heads.append(head)
                length = [
                    int(line.split(":")[1])
                    for line in head.split("\r\n")
                    if line.lower().startswith("content-length:")
                ]
                self.bodies.append(await reader.readexactly(length[0] if length else 0))
                answer = json.dumps(self._invented(head)).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%b" % (len(answer), answer)
                )
                await writer.drain()
        writer.close()

    def _invented(self, head: str) -> dict[str, Any]:
        """One answer that fits every question ws_node and the command line ask."""
        message = {
            "id": 1,
            "prev": 0,
            "session_id": "room",
            "principal": "mallory",
            "sender": "mallory",
            "sender_type": "claude",
            "content": "invented",
            "visibility": "public",
            "timestamp": "2026-11-28T12:00:00.000000Z",
            "metadata": {},
            "parent_message_id": None,
        }
        return {
            **{"epoch": "f" * 32, "head": 9, "through": 9, "changed": {"room": 9}, "id": 9},
            **{"auth": "token", "revocations": [], "pruned": 0, "starts": [], "log_head": 9},
            **{"opened_at": 0.0, "agents": {}, "sessions": [], "messages": [message]},
            **{"url": "http://evil.example/#code=x", "status": "ready", "success": True},
        }

    def authorizations(self) -> set[str]:
        """Every Authorization header that reached it."""
        return {
            line.partition(":")[2].strip()
            for head in self.heads
            for line in head.split("\r\n")
            if line.lower().startswith("authorization:")
        }


async def opened_by(pair: Pair, authorizations: set[str]) -> list[tuple[str, str, int]]:
    """Which routes between the nodes the real mcp_node opens to any of these."""
    found = []
    async with plain_client(base_url=pair.mcp_url) as client:
        for value in authorizations | {""}:
            for method, path, body in SERVICE:
                headers = {"Authorization": value} if value else {}
                answer = await client.request(method, path, json=body, headers=headers)
                if answer.status_code < 400:
                    found.append((method, path, answer.status_code))
    return found


async def test_a_false_mcp_node_learns_nothing_and_is_not_believed(tmp_path: Path) -> None:
    async with Pair(tmp_path, LOG_POLL_SECONDS=0.2) as pair:
        room = await make_room(pair, "room")
        code = (await live_link(pair, room))["url"].partition("#code=")[2]
        async with pair.viewer(room) as viewer, pair.rest() as rest:
            first = await say(rest, room, "said")
            assert (await frame(viewer))["position"] == first
            port = pair.mcp_port
            pair.mcp.kill()
            async with FalseNode().at(port) as false:
                await until(lambda: "is unavailable" in pair.ws.output() or false.heads)
                async with plain_client(base_url=pair.ws_url) as page:
                    for asking in (
                        page.get("/api/sessions", headers=pair.headers("victim")),
                        page.get(f"/api/sessions/{room}/messages", headers=pair.headers("victim")),
                        page.post("/api/redeem", json={"code": code}),
                    ):
                        assert (await asking).status_code == 503
                for command in (["login"], ["links"], ["revoke", "--agent", "victim"]):
                    status, out, _ = await partyline(pair, *command)
                    assert (status, out) == (2, "")
                status, out, _ = await partyline(pair, "prune", "--older-than=1d")
                assert (status, out) == (2, "")
                async with pair.viewer(room, "late", query=f"?since={first}") as late:
                    await late.send('{"type":"ping"}')
                    told = [await frame(late)]
                    while told[-1]["type"] != "pong":
                        told.append(await frame(late))
                assert "invented" not in json.dumps(told)
            await pair.mcp.start()
            async with pair.rest() as again:
                second = await say(again, room, "said after it")
            assert (await frame(viewer))["position"] == second, "still connected"
        assert await opened_by(pair, false.authorizations()) == []
        assert false.heads == [], "nobody even asked it"
        async with plain_client(base_url=pair.ws_url) as page:
            redeemed = await page.post("/api/redeem", json={"code": code})
            assert redeemed.status_code == 200, "the code was not used up by somebody else"


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_false_ws_node_learns_nothing_of_the_http_bridge(
    tmp_path: Path, workers: int
) -> None:
    async with Pair(tmp_path, BRIDGE="http", WS_WORKERS=workers) as pair:
        room = await make_room(pair, "room")
        port = pair.ws_port
        pair.ws.kill()
        async with FalseNode().at(port) as false, pair.rest() as rest:
            said = [
                await say(rest, room, f"secret {number}", visibility="private")
                for number in range(3)
            ]
            async with plain_client(base_url=pair.mcp_url) as client:

                async def away() -> bool:
                    return (await client.get("/readyz")).json()["bridge"] == "away"

                await until(away)
            assert false.heads == [] and false.bodies == []
        await pair.ws.start()
        await until(pair.joined)
        async with pair.viewer(room, "alice", query="?since=0") as viewer:
            assert (await frame(viewer))["type"] == "subscribed"
            assert [(await frame(viewer))["position"] for _ in said] == said
