"""Codes are redeemed once or until they end, for exactly the rights of their link."""

import asyncio
import hashlib
import json
import secrets
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastmcp.exceptions import ToolError

from tests.clients import frame, plain_client
from tests.links.redeeming import (
    bearer,
    code_of,
    live_link,
    login_code,
    redeem,
)
from tests.pair import Pair
from tests.waiting import until


def seconds_from_now(timestamp: str) -> float:
    return (datetime.fromisoformat(timestamp) - datetime.now(UTC)) / timedelta(seconds=1)


async def test_a_live_link_gives_a_guest_who_may_read_one_session(pair: Pair, room: str) -> None:
    link = await live_link(pair, room)
    assert set(link) == {"url", "link_id", "expires_at", "write", "unread"}
    assert link["write"] is False
    assert link["link_id"].startswith("alice-") and len(link["link_id"]) == len("alice-") + 8
    assert 0 < seconds_from_now(link["expires_at"]) <= 3_600, "not longer than alice's own token"
    for _ in range(2):  # as often as people open it
        answer = await redeem(pair, code_of(pair, link["url"]))
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        given = answer.json()
        token = given.pop("token")
        assert given == {
            "agent_id": f"guest:{link['link_id']}",
            "agent_type": "guest",
            "scopes": ["read"],
            "sessions": [room],
            "expires_at": link["expires_at"],
        }
        headers = {"Authorization": f"Bearer {token}"}
        async with plain_client(base_url=pair.mcp_url, headers=headers) as client:
            listed = (await client.get("/api/sessions")).json()["sessions"]
            assert [one["session_id"] for one in listed] == [room]


async def test_guests_watch_and_write_under_the_links_name(pair: Pair, room: str) -> None:
    link = await live_link(pair, room, write=True, expires_in="10m")
    assert 500 < seconds_from_now(link["expires_at"]) <= 600
    headers = await bearer(pair, code_of(pair, link["url"]))
    async with (
        pair.viewer(room) as viewer,
        plain_client(base_url=pair.ws_url, headers=headers) as client,
    ):
        said = await client.post(f"/api/sessions/{room}/messages", json={"content": "hello"})
        assert said.status_code == 201, said.text
        shown = (await frame(viewer))["data"]
    assert (shown["sender"], shown["sender_type"]) == (f"guest:{link['link_id']}", "guest")


async def test_a_login_code_works_once_and_gives_the_operator(pair: Pair) -> None:
    code = await login_code(pair)
    first = await redeem(pair, code)
    assert first.status_code == 200
    given = first.json()
    assert (given["agent_id"], given["agent_type"]) == ("human", "human")
    assert given["scopes"] == ["admin", "read", "write"]
    assert given["sessions"] is None
    assert 29.9 * 86_400 < seconds_from_now(given["expires_at"]) <= 30 * 86_400
    again = await redeem(pair, code)
    assert again.status_code == 401
    assert again.json()["error"]["code"] == "UNAUTHENTICATED"
    headers = {"Authorization": f"Bearer {given['token']}"}
    async with plain_client(base_url=pair.ws_url, headers=headers) as client:
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/api/sessions")).status_code == 200


async def test_of_many_who_redeem_a_login_code_at_once_one_gets_in(pair: Pair) -> None:
    code = await login_code(pair)
    urls = [pair.ws_url, pair.mcp_url] * 10
    answers = await asyncio.gather(*(redeem(pair, code, url=url) for url in urls))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


@pytest.mark.parametrize("door", ["ws", "mcp"])
@pytest.mark.parametrize(
    "code",
    [
        *("", "x", "A" * 43, "A" * 42, "A" * 44, "../../etc/passwd", "ä" * 43, "A" * 43 + "\n"),
        *(None, 7, True, ["A" * 43], {"a": 1}),
    ],
    ids=repr,
)
async def test_what_is_no_code_is_refused_alike(pair: Pair, code: Any, door: str) -> None:
    answer = await redeem(pair, code, url=pair.ws_url if door == "ws" else pair.mcp_url)
    expected = (401, "UNAUTHENTICATED") if isinstance(code, str) else (422, "INVALID_INPUT")
    assert (answer.status_code, answer.json()["error"]["code"]) == expected
    assert len(str(code)) < 20 or str(code) not in answer.text


@pytest.mark.parametrize("door", ["ws", "mcp"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"[]", 422),
        (b'{"code":"a","code":"b"}', 422),
        (b'{"code":"a","more":1}', 422),
        (b'{"code":"' + b"a" * 2_000 + b'"}', 413),
    ],
    ids=["empty", "list", "twice", "more", "large"],
)
async def test_bad_bodies_are_refused(pair: Pair, body: bytes, status: int, door: str) -> None:
    headers = {"Content-Type": "application/json"}
    async with plain_client(base_url=pair.ws_url if door == "ws" else pair.mcp_url) as client:
        answer = await client.post("/api/redeem", content=body, headers=headers)
        assert answer.status_code == status, answer.text
        plain = await client.post("/api/redeem", content=b'{"code":"a"}')
        assert plain.status_code == 415


@pytest.mark.parametrize("door", ["ws", "mcp"])
@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ],
    ids=["origin", "null", "fetch", "host"],
)
async def test_another_sites_page_cannot_use_a_code(
    pair: Pair, header: dict[str, str], door: str
) -> None:
    code = await login_code(pair)
    url = pair.ws_url if door == "ws" else pair.mcp_url
    assert (await redeem(pair, code, header, url=url)).status_code == 403
    assert (await redeem(pair, code, {"Origin": url}, url=url)).status_code == 200


async def test_the_database_holds_no_code(pair: Pair, room: str) -> None:
    codes = [await login_code(pair), code_of(pair, (await live_link(pair, room))["url"])]
    await redeem(pair, codes[0])
    files = [path for path in pair.data_dir.iterdir() if path.name.startswith("partyline.db")]
    assert files
    for path in files:
        held = path.read_bytes()
        assert not any(code.encode() in held for code in codes), path.name
    database = sqlite3.connect(f"file:{pair.data_dir / 'partyline.db'}?mode=ro", uri=True)
    with database:
        kept = {row[0] for row in database.execute("SELECT code_hash FROM links")}
    database.close()
    assert {hashlib.sha256(code.encode()).digest() for code in codes} <= kept
    hexed = hashlib.sha256(codes[1].encode()).hexdigest()
    assert (await redeem(pair, hexed)).status_code == 401


async def test_a_link_ends_with_its_time(pair: Pair, room: str) -> None:
    """Here with its minter's token, which ends first."""
    link = await live_link(pair, room, "brief", rights={"seconds": 6})
    code = code_of(pair, link["url"])
    headers = await bearer(pair, code)
    async with plain_client(base_url=pair.mcp_url, headers=headers) as client:

        async def refused() -> bool:
            return (await client.get("/api/sessions")).status_code == 401

        await until(refused, every=0.1)
    assert (await redeem(pair, code)).status_code == 401


@pytest.mark.parametrize(
    ("rights", "arguments", "code"),
    [
        ({"scopes": "write"}, {}, "FORBIDDEN"),
        ({"scopes": "admin"}, {}, "FORBIDDEN"),
        ({"scopes": "read"}, {"write": True}, "FORBIDDEN"),
        ({"sessions": ["another"]}, {}, "SESSION_NOT_FOUND"),
        ({"sessions": []}, {}, "SESSION_NOT_FOUND"),
        ({}, {"room": "not-made"}, "SESSION_NOT_FOUND"),
        ({}, {"room": "../x"}, "INVALID_INPUT"),
        ({}, {"expires_in": "59s"}, "INVALID_INPUT"),
        ({}, {"expires_in": "31d"}, "INVALID_INPUT"),
        ({}, {"expires_in": "tomorrow"}, "INVALID_INPUT"),
        ({}, {"expires_in": ""}, "INVALID_INPUT"),
        ({}, {"write": "yes"}, "INVALID_INPUT"),
        ({}, {"write": 1}, "INVALID_INPUT"),
        ({}, {"kind": "login"}, "INVALID_INPUT"),
    ],
)
async def test_what_is_not_the_minters_to_give(
    pair: Pair, room: str, rights: dict[str, Any], arguments: dict[str, Any], code: str
) -> None:
    with pytest.raises(ToolError, match=f"^{code}: "):
        await live_link(pair, **{"room": room, "agent": "mallory", "rights": rights} | arguments)


async def test_a_reader_gives_out_reading(pair: Pair, room: str) -> None:
    rights = {"scopes": "read", "sessions": [room]}
    assert (await live_link(pair, room, "reader", rights=rights))["write"] is False


async def test_an_admins_link_gives_no_more_than_writing(pair: Pair, room: str) -> None:
    rights = {"scopes": "read,write,admin"}
    link = await live_link(pair, room, "root", write=True, rights=rights)
    given = (await redeem(pair, code_of(pair, link["url"]))).json()
    assert (given["scopes"], given["sessions"]) == (["read", "write"], [room])


async def test_login_links_are_minted_over_the_socket_alone(pair: Pair) -> None:
    admin = pair.headers("root", scopes="read,write,admin")
    for headers in ({}, admin, await bearer(pair, await login_code(pair))):
        async with plain_client(base_url=pair.mcp_url, headers=headers) as client:
            refused = await client.post("/api/links", json={"kind": "login"})
            assert refused.status_code == (404 if headers else 401)
            assert (await client.get("/api/links")).status_code == 404
    async with pair.service() as client:
        assert (await client.post("/api/links", json={"kind": "live"})).status_code == 422
        assert (await client.post("/api/links", json={})).status_code == 422


async def test_wrong_codes_are_slowed_and_good_ones_are_not() -> None:
    async with Pair(FAILED_TOKEN_SECONDS=20) as slow:
        wrong = [secrets.token_urlsafe(32) for _ in range(60)]
        guessing = [asyncio.create_task(redeem(slow, code)) for code in wrong]
        await until(lambda: sum(task.done() for task in guessing) >= 10)
        assert (await redeem(slow, await login_code(slow))).status_code == 200
        assert not all(task.done() for task in guessing), "the rest still waits"
        assert {task.result().status_code for task in guessing if task.done()} == {401}
        for task in guessing:
            task.cancel()
        await asyncio.gather(*guessing, return_exceptions=True)


async def test_what_is_listed_holds_no_code(pair: Pair, room: str) -> None:
    link = await live_link(pair, room)
    async with pair.service() as client:
        answer = await client.get("/api/links")
    listed = {one["link_id"]: one for one in answer.json()["links"]}
    one = listed[link["link_id"]]
    assert (one["session_id"], one["minted_by"], one["kind"]) == (room, "alice", "live")
    assert code_of(pair, link["url"]) not in answer.text
    assert "hash" not in json.dumps(one)
