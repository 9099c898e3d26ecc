"""Nodes with a data directory each, which ask each other at their ports: signed, and over TLS."""

import asyncio
import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from proto import keyfile
from tests.clients import frame, is_quiet, plain_client
from tests.commands import partyline
from tests.integration.relay import Authority, Relay, sent_again
from tests.integration.rooms import broadcast, make_room, readiness, say
from tests.links.redeeming import bearer
from tests.pair import Pair
from tests.waiting import START_SECONDS, until


def two_directories(
    base: Path, *, mcp: dict[str, Any], ws: dict[str, Any], **settings: Any
) -> Pair:
    """Both nodes; ws_node's directory holds what an operator copies to it."""
    theirs = base / "ws-data"
    pair = Pair(base, mcp_settings=mcp, ws_settings={"DATA_DIR": theirs, **ws}, **settings)
    for directory in (pair.data_dir, theirs):
        keyfile.open_data_dir(directory)
    keyfile.public_key(pair.data_dir)
    keyfile.bridge_key(pair.data_dir)
    for name in ("signing.pub", "bridge.key"):
        shutil.copy2(pair.data_dir / name, theirs / name)
    return pair


async def test_requests_are_signed_both_ways_and_cannot_be_replayed(tmp_path: Path) -> None:
    pairs: list[Pair] = []
    async with contextlib.AsyncExitStack() as stack:
        to_mcp = await stack.enter_async_context(Relay(lambda: pairs[0].mcp_port).listening())
        to_ws = await stack.enter_async_context(Relay(lambda: pairs[0].ws_port).listening())
        pair = two_directories(
            tmp_path,
            BRIDGE="http",
            LOG_POLL_SECONDS=0.5,
            mcp={
                "SIGNED_REQUESTS": "true",
                "WS_URL": to_ws.url,
                "PAGE_URL": "http://rooms.example/",
            },
            ws={"SIGNED_REQUESTS": "true", "MCP_URL": to_mcp.url},
        )
        pairs.append(pair)
        await stack.enter_async_context(pair)
        room = await make_room(pair, "room")
        async with pair.service() as mcp:
            minted = (await mcp.post("/api/links", json={"kind": "login"})).json()["url"]
        assert minted.startswith("http://rooms.example/#code=")
        operator = await bearer(pair, minted.partition("#code=")[2])
        assert "PARTYLINE_MCP_URL is not https" in pair.ws.output()
        async with pair.viewer(room) as viewer, pair.rest() as rest:
            for number in range(3):
                said = await say(rest, room, f"{number}")
                assert (await frame(viewer))["position"] == said
            async with plain_client(base_url=pair.ws_url, headers=operator) as page:
                said = await say(page, room, "from the page")
                assert (await frame(viewer))["position"] == said
                listed = await page.get(f"/api/sessions/{room}/messages?limit=10")
                assert len(listed.json()["messages"]) == 4

            await replayed(pair, to_mcp, to_ws)
            await is_quiet(viewer)

            to_mcp.invented = invented(200)
            to_mcp.cut()
            async with plain_client(base_url=pair.ws_url, headers=operator) as page:
                assert (await page.get("/api/sessions")).status_code == 503
            await until(lambda: "is not signed with our bridge.key" in pair.ws.output())
            await is_quiet(viewer)
            former = next(bytes(one) for one in to_mcp.answered if b"taken" in one)
            to_mcp.invented = former
            to_mcp.cut()
            async with plain_client(base_url=pair.ws_url, headers=operator) as page:
                assert (await page.get("/api/sessions")).status_code == 503
            await is_quiet(viewer)

            to_mcp.invented = None
            to_mcp.cut()
            await until(pair.joined)
            said = await say(rest, room, "as before")
            assert (await frame(viewer))["position"] == said
        pair.mcp.kill()
        await pair.mcp.start()
        await until(pair.joined, within=START_SECONDS)
        await replayed(pair, to_mcp, to_ws)
        forged = {"X-Partyline-Epoch": "e", "X-Partyline-Prev": "0", "X-Partyline-Principal": "a"}
        posted = await broadcast(pair, room, {"type": "note", "data": {}}, **forged)
        assert posted.status_code == 401


async def replayed(pair: Pair, to_mcp: Relay, to_ws: Relay) -> None:
    """Whoever read along sends everything once more."""
    for relay, port in ((to_mcp, pair.mcp_port), (to_ws, pair.ws_port)):
        recorded = [bytes(one) for one in relay.asked if one.endswith((b"\r\n\r\n", b"}"))]
        assert recorded
        for one in recorded[-5:]:
            statuses = await sent_again(port, one)
            assert statuses and set(statuses) == {b"401"}, (one, statuses)


def invented(status: int) -> bytes:
    answer = json.dumps({"epoch": "f" * 32, "head": 9, "through": 9, "changed": {}, "sessions": []})
    signature = f"v1 taken {'0' * 32} {'0' * 64}"
    return (
        f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n"
        f"X-Partyline-Signature: {signature}\r\nContent-Length: {len(answer)}\r\n\r\n{answer}"
    ).encode()


async def test_over_tls_only_to_who_has_the_certificate_and_answers_signed(tmp_path: Path) -> None:
    ours = await asyncio.to_thread(Authority, tmp_path / "ours")
    other = await asyncio.to_thread(Authority, tmp_path / "other")
    pairs: list[Pair] = []
    async with contextlib.AsyncExitStack() as stack:
        relay = Relay(lambda: pairs[0].mcp_port, ours.tls)
        await stack.enter_async_context(relay.listening())
        pair = two_directories(
            tmp_path,
            start=(),
            BRIDGE_ENDPOINT=f"ipc://{tmp_path}/b.sock",
            LOG_POLL_SECONDS=0.5,
            mcp={},
            ws={"MCP_URL": relay.url, "CA_FILE": other.ca_file},
        )
        pairs.append(pair)
        stack.callback(pair.mcp.end)
        stack.callback(pair.ws.end)

        pair.ws.spawn()
        await pair.mcp.start()
        await pair.ws.answers()
        await until(lambda: "its certificate is not trusted" in pair.ws.output())
        assert (await readiness(pair.ws_url))[1]["status"] == "degraded"
        assert not any(relay.asked), "nothing was sent to who has another's certificate"
        pair.ws.kill()

        pair.ws.environment |= {"PARTYLINE_CA_FILE": str(ours.ca_file)}
        await pair.ws.start()
        await until(lambda: "is not signed with our bridge.key" in pair.ws.output())
        assert (await readiness(pair.ws_url))[1]["status"] == "degraded"
        assert any(relay.asked)

        pair.mcp.kill()
        pair.mcp.environment |= {"PARTYLINE_SIGNED_REQUESTS": "true"}
        await pair.mcp.start()
        await until(pair.joined, within=START_SECONDS)
        room = await make_room(pair, "room")
        async with pair.viewer(room) as viewer, pair.rest() as rest:
            said = await say(rest, room, "over TLS")
            assert (await frame(viewer))["position"] == said
        assert "is not https" not in pair.ws.output()
        code, _, _ = await partyline(pair, "links")
        assert code == 0, "the command line asks over the socket"
