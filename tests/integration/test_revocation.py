"""A token that dies takes everything with it that was opened on it, within three seconds."""

import asyncio
from typing import Any

import httpx
import pytest
import websockets

from tests.clients import frame, plain_client
from tests.commands import partyline
from tests.pair import Pair

WITHIN = 15.0
"""Three seconds are promised, on a machine that is not busy with other tests."""


async def revoke(pair: Pair, *arguments: str) -> None:
    assert (await partyline(pair, "revoke", *arguments))[0] == 0


async def closed(viewer: Any) -> int:
    with pytest.raises(websockets.ConnectionClosed) as gone:
        async with asyncio.timeout(WITHIN):
            while True:
                await viewer.recv()
    assert gone.value.rcvd is not None
    return gone.value.rcvd.code


async def legacy_stream(client: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, str]:
    """Headers of a legacy MCP session, initialized."""
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}}
    hello |= {"clientInfo": {"name": "t", "version": "1"}}
    headers = headers | {"Accept": "application/json, text/event-stream"}
    answer = await client.post(
        "/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        headers=headers,
    )
    return headers | {"Mcp-Session-Id": answer.headers["mcp-session-id"]}


async def test_a_revoked_agent_is_out_everywhere_and_nobody_else(pair: Pair) -> None:
    token = pair.headers("mallory")
    async with (
        pair.rest("alice") as alice,
        plain_client(base_url=pair.mcp_url, headers=token) as mallory,
        plain_client(base_url=pair.ws_url, headers=token) as streams,
        pair.viewer("revoked", "mallory") as out,
        pair.viewer("revoked", "alice") as stays,
    ):
        await alice.post("/api/sessions", json={"purpose": "p", "session_id": "revoked"})
        assert (await mallory.get("/api/sessions")).status_code == 200
        session = await legacy_stream(mallory, token)
        async with (
            mallory.stream("GET", "/mcp", headers=session) as standing,
            streams.stream("GET", "/events/revoked") as events,
        ):
            assert standing.status_code == events.status_code == 200
            await revoke(pair, "--agent", "mallory")
            assert (await mallory.get("/api/sessions")).status_code == 401
            assert await closed(out) == 4501
            async with asyncio.timeout(WITHIN):
                assert b"4501" in await events.aread()
                with pytest.raises(httpx.RemoteProtocolError):
                    await standing.aread()
        refused = websockets.connect(
            f"ws://127.0.0.1:{pair.ws_port}/ws/revoked", additional_headers=token, proxy=None
        )
        async with refused as again:
            assert await closed(again) == 4500
        await alice.post("/api/sessions/revoked/messages", json={"content": "still here"})
        assert (await frame(stays))["data"]["content"] == "still here"


async def test_one_token_can_be_revoked_by_its_id(pair: Pair) -> None:
    asked = ("--agent", "carol", "--type", "claude", "--scopes", "read")
    _, out, err = await partyline(pair, "token", *asked)
    headers = {"Authorization": f"Bearer {out.strip()}"}
    async with plain_client(base_url=pair.mcp_url) as client:
        assert (await client.get("/api/sessions", headers=headers)).status_code == 200
        await revoke(pair, "--token", err.split()[1])
        assert (await client.get("/api/sessions", headers=headers)).status_code == 401
        other = pair.headers("carol", scopes="read")
        assert (await client.get("/api/sessions", headers=other)).status_code == 200


async def test_an_expired_token_ends_its_socket(pair: Pair) -> None:
    async with pair.viewer("expiring", "brief", seconds=6) as viewer:
        assert await closed(viewer) == 4503


async def test_nobody_revokes_at_the_port(pair: Pair) -> None:
    async with pair.rest("root", scopes="read,write,admin") as admin:
        body = {"agent_id": "alice", "token_id": None}
        assert (await admin.post("/api/revocations", json=body)).status_code == 404
        assert (await admin.get("/api/revocations")).status_code == 404
