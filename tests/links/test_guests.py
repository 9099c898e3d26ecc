"""What a guest may do: one session, public words, nothing of its minter's."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.clients import closed_with, frame, plain_client
from tests.integration.rooms import make_room, say
from tests.links.redeeming import bearer, guest, login_code
from tests.pair import Pair
from tests.security.asking import TOOLS


def client(pair: Pair, headers: dict[str, str], door: str = "ws") -> httpx.AsyncClient:
    return plain_client(base_url=pair.ws_url if door == "ws" else pair.mcp_url, headers=headers)


def socket(pair: Pair, session: str, headers: dict[str, str]) -> websockets.connect:
    url = f"ws://127.0.0.1:{pair.ws_port}/ws/{session}"
    return websockets.connect(url, additional_headers=headers, proxy=None)


@pytest.mark.parametrize("door", ["ws", "mcp"])
async def test_a_reader_cannot_write(pair: Pair, room: str, door: str) -> None:
    headers = await guest(pair, room)
    async with client(pair, headers, door) as page:
        refused = await page.post(f"/api/sessions/{room}/messages", json={"content": "a"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN")
        made = await page.post("/api/sessions", json={"purpose": "a"})
        assert made.status_code == 403
        assert (await page.get(f"/api/sessions/{room}/messages")).json()["messages"] == []


@pytest.mark.parametrize("visibility", ["private", "agent_only", "admin_only"])
@pytest.mark.parametrize("door", ["ws", "mcp"])
async def test_a_writer_writes_public_words_only(
    pair: Pair, room: str, visibility: str, door: str
) -> None:
    async with client(pair, await guest(pair, room, write=True), door) as page:
        body = {"content": "a", "visibility": visibility}
        refused = await page.post(f"/api/sessions/{room}/messages", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN")
        await say(page, room, "public")


@pytest.mark.parametrize("door", ["ws", "mcp"])
async def test_another_session_does_not_exist(pair: Pair, room: str, door: str) -> None:
    other = await make_room(pair, f"{room}-other")
    async with client(pair, await guest(pair, room, write=True), door) as page:
        for session in (other, f"{room}-absent"):
            for answer in (
                await page.get(f"/api/sessions/{session}"),
                await page.get(f"/api/sessions/{session}/messages"),
                await page.post(f"/api/sessions/{session}/messages", json={"content": "a"}),
            ):
                assert (answer.status_code, answer.json()["error"]["code"]) == (
                    404,
                    "SESSION_NOT_FOUND",
                )
            made = await page.post("/api/sessions", json={"purpose": "a", "session_id": session})
            assert made.status_code == 403
        assert (await page.post("/api/sessions", json={"purpose": "a"})).status_code == 403
        listed = (await page.get("/api/sessions")).json()["sessions"]
        assert [one["session_id"] for one in listed] == [room]


async def test_another_session_cannot_be_watched(pair: Pair, room: str) -> None:
    other = await make_room(pair, f"{room}-other")
    headers = await guest(pair, room)
    async with socket(pair, other, headers) as viewer:
        assert await closed_with(viewer) == 4501
    async with socket(pair, room, headers) as viewer:
        await viewer.send(f'{{"type":"subscribe","session_id":"{other}"}}')
        assert (await frame(viewer))["code"] == "FORBIDDEN"
    async with client(pair, headers) as page:
        assert (await page.get(f"/events/{other}")).status_code == 403


async def test_guests_see_public_words_and_nothing_of_their_minters(pair: Pair, room: str) -> None:
    link = await guest(pair, room)
    async with (
        pair.rest("alice", scopes="read,write,admin") as alice,
        client(pair, link, "mcp") as page,
        socket(pair, room, link) as viewer,
    ):
        for visibility in ("private", "agent_only", "admin_only", "public"):
            await say(alice, room, visibility, visibility=visibility)
        assert (await frame(viewer))["data"]["content"] == "public"
        seen = (await page.get(f"/api/sessions/{room}/messages")).json()["messages"]
        assert [one["content"] for one in seen] == ["public"]


@pytest.mark.parametrize("era", sorted(TOOLS))
async def test_a_guest_mints_no_link(pair: Pair, room: str, era: str) -> None:
    body = b'{"session_id":"%b"}' % room.encode()
    refused = await TOOLS[era](pair, "get_live_link", body, await guest(pair, room, write=True))
    assert refused.code == "FORBIDDEN"
    operator = await bearer(pair, await login_code(pair))
    allowed = await TOOLS[era](pair, "get_live_link", body, operator)
    assert allowed.code is None
    assert allowed.result["link_id"].startswith("human-")


async def test_nobody_in_particular_mints_no_link() -> None:
    async with Pair(auth="off") as open_pair:
        await make_room(open_pair, "room")
        named: list[Any] = [{}, {"X-Partyline-Agent": "alice"}]
        for headers in named:
            for tool in TOOLS.values():
                refused = await tool(open_pair, "get_live_link", b'{"session_id":"room"}', headers)
                assert refused.code == "FORBIDDEN", refused
        for agent, kind in (
            ("human", "human"),
            ("guest:alice-00000000", "guest"),
            ("alice", "human"),
            ("alice", "guest"),
        ):
            headers = {"X-Partyline-Agent": agent, "X-Partyline-Agent-Type": kind}
            for url in (open_pair.mcp_url, open_pair.ws_url):
                async with plain_client(base_url=url, headers=headers) as client_:
                    answer = await client_.get("/api/sessions")
                assert answer.status_code == 401, (url, answer.text)


async def test_a_guest_is_heard_over_the_http_bridge_too(tmp_path: Path) -> None:
    """With the longest name a minter can have."""
    async with Pair(tmp_path, BRIDGE="http") as pair:
        await make_room(pair, "room")
        link = await guest(pair, "room", "m" * 64, write=True)
        async with pair.viewer("room") as viewer, client(pair, link) as page:
            said = await say(page, "room", "hello")
            heard = await frame(viewer)
        assert heard["position"] == said
        assert heard["data"]["sender"].startswith(f"guest:{'m' * 55}-")


@pytest.mark.parametrize("door", ["ws", "mcp"])
async def test_a_guest_reads_who_is_there_and_changes_nothing_of_the_session(
    pair: Pair, room: str, door: str
) -> None:
    async with client(pair, await guest(pair, room, write=True), door) as page:
        session = f"/api/sessions/{room}"
        said = await say(page, room, "hello")
        assert (await page.post(f"{session}/read", json={"through": said})).status_code == 200
        agents = (await page.get(f"{session}/agents")).json()["agents"]
        assert any(one["name"].startswith("guest:alice-") for one in agents), agents
        for refused in (
            await page.patch(session, json={"purpose": "mine"}),
            await page.patch(session, json={"agent_messages": 0}),
            await page.post(f"{session}/close", json={}),
        ):
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN")
        await say(page, room, "still open")
