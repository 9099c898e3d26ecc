"""/broadcast cannot forge: not a type, not a position, not an audience, not the bridge."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from proto.frames import RESERVED_TYPES
from tests.clients import frame
from tests.pair import Pair
from tests.security.asking import ask, broadcast, post
from tests.security.bad_messages import nested
from tests.security.bad_tokens import former_service_token
from tests.security.unharmed import MARK, clean, log_head, make_room, unharmed

M = MARK.encode()
TOKEN = "a-broadcast-token-of-32-characters"
EVENT = b'{"type":"new_message","data":{"content":"%b"}}' % M

BAD_EVENTS: dict[str, bytes] = {
    "no type": b'{"data":{"a":"%b"}}' % M,
    "no data": b'{"type":"%b"}' % M,
    "type empty": b'{"type":"","data":{}}',
    "type long": b'{"type":"%b","data":{}}' % (b"x" * 65),
    "type number": b'{"type":7,"data":{}}',
    "type list": b'{"type":["%b"],"data":{}}' % M,
    "data list": b'{"type":"a","data":["%b"]}' % M,
    "data null": b'{"type":"a","data":null}',
    "data text": b'{"type":"a","data":"%b"}' % M,
    "visibility": b'{"type":"a","data":{"visibility":"%b"}}' % M,
    "visibility null": b'{"type":"a","data":{"visibility":null}}',
    "visibility list": b'{"type":"a","data":{"visibility":["public"]}}',
    "id past 2**53": b'{"type":"a","data":{"id":9007199254740993}}',
    "id past 64 bits": b'{"type":"a","data":{"id":18446744073709551616}}',
    "NaN": b'{"type":"a","data":{"a":NaN}}',
    "twice": b'{"type":"a","type":"b","data":{}}',
    "NUL": rb'{"type":"a","data":{"a":"\u0000"}}',
    "NUL key": rb'{"type":"a","data":{"\u0000":1}}',
    "surrogate": rb'{"type":"a","data":{"a":"\udead"}}',
    "deep": b'{"type":"a","data":%b}' % nested(64),
    **{f"type {kind}": b'{"type":"%b","data":{}}' % kind.encode() for kind in RESERVED_TYPES},
}


async def test_a_bad_event_is_refused(pair: Pair) -> None:
    async with unharmed(pair) as room:
        for bad, event in BAD_EVENTS.items():
            answer = clean(await broadcast(pair, room, event))
            assert (answer.status, answer.code) == (422, "INVALID_INPUT"), (bad, answer)


async def test_a_malformed_session_id_is_refused(pair: Pair) -> None:
    async with unharmed(pair):
        for name in ("a%20b", "a%00", "%0a", "-a", "a" * 65, "%C3%A9", "a%3Fb"):
            answer = clean(await broadcast(pair, name, EVENT))
            assert (answer.status, answer.code) == (422, "INVALID_INPUT"), name


FORWARDED = [
    *({"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}, {"X-Forwarded-Port": "1"}),
    *({"X-Forwarded-Host": "localhost"}, {"X-FORWARDED-PROTO": "https"}, {"X-Forwarded-X": ""}),
]


async def test_broadcasts_through_a_proxy_are_refused(pair: Pair) -> None:
    async with unharmed(pair) as room:
        for headers in FORWARDED:
            answer = clean(await broadcast(pair, room, EVENT, headers))
            assert (answer.status, answer.code) == (403, "FORBIDDEN"), headers


def bridged(room: str, place: int, **changes: Any) -> bytes:
    """What the HTTP bridge would post."""
    data = {
        "id": place,
        "sender": "alice",
        "sender_type": "claude",
        "content": MARK,
        "visibility": "public",
        "timestamp": "2026-11-23T21:30:00.000000Z",
        "metadata": {},
        "parent_message_id": None,
    }
    frame_ = {"type": "new_message", "session_id": room, "position": place, "data": data}
    return json.dumps({**frame_, **changes}).encode()


async def epoch(pair: Pair) -> str:
    answer = await ask(pair.mcp_socket, "GET", "/api/heads?after=0")
    return str(answer.result["epoch"])


@pytest.mark.parametrize("who", ["nobody", "principal", "admin", "former service", "garbage"])
async def test_nobody_else_makes_durable_events(pair: Pair, who: str) -> None:
    tokens = {
        "nobody": {},
        "principal": pair.headers("alice"),
        "admin": pair.headers("root", scopes="read,write,admin"),
        "former service": former_service_token(pair),
        "garbage": {"Authorization": f"Bearer {MARK}"},
    }
    async with unharmed(pair) as room:
        body = bridged(room, await log_head(pair) + 1)
        for forged in (await epoch(pair), "", MARK):
            headers = {
                "X-Partyline-Epoch": forged,
                "X-Partyline-Prev": "0",
                "X-Partyline-Principal": "alice",
                **tokens[who],
            }
            answer = clean(await broadcast(pair, room, body, headers))
            assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "error"},
        {"session_id": "another"},
        {"position": 0},
        {"position": -1},
        {"position": True},
        {"position": 2**53 + 1},
        {"position": None},
        {"data": None},
        {"data": {"id": 7}},
    ],
    ids=str,
)
async def test_a_malformed_event_of_the_bridge_is_refused(
    pair: Pair, changes: dict[str, Any]
) -> None:
    async with unharmed(pair) as room:
        headers = {
            "X-Partyline-Epoch": await epoch(pair),
            "X-Partyline-Prev": "0",
            "X-Partyline-Principal": "alice",
        }
        answer = clean(await post(pair, room, bridged(room, 7, **changes), headers))
        assert (answer.status, answer.code) == (422, "INVALID_INPUT")


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({}, {"X-Partyline-Visibility": ""}),
        ({}, {"X-Partyline-Visibility": "everyone"}),
        ({}, {"X-Partyline-Principal": ""}),
        ({}, {"X-Partyline-Prev": "-1"}),
        ({"data": {}}, {}),
        ({"data": {"id": 7}}, {}),
        ({"data": {"id": 0}}, {}),
        ({"data": {"id": "3"}}, {}),
        ({"data": {"id": True}}, {}),
        ({"position": None}, {}),
        ({"session_id": "another"}, {}),
    ],
    ids=str,
)
async def test_a_malformed_deletion_of_the_bridge_is_refused(
    pair: Pair, changes: dict[str, Any], headers: dict[str, str]
) -> None:
    async with unharmed(pair) as room:
        head = {
            "X-Partyline-Epoch": await epoch(pair),
            "X-Partyline-Prev": "0",
            "X-Partyline-Principal": "alice",
            "X-Partyline-Visibility": "public",
            "X-Partyline-Sender-Type": "claude",
        }
        frame_ = {"type": "message_deleted", "data": {"id": 3}} | changes
        body = bridged(room, 7, **frame_)
        answer = clean(await post(pair, room, body, head | headers))
        assert (answer.status, answer.code) == (422, "INVALID_INPUT")


async def test_an_accepted_event_is_marked_external_and_not_stored(pair: Pair) -> None:
    room = await make_room(pair)
    head = await log_head(pair)
    body = bridged(room, head + 1, origin="partyline", extra=1)
    async with pair.viewer(room) as viewer:
        assert (await broadcast(pair, room, body)).status == 200
        seen = await frame(viewer)
    assert seen.keys() == {"type", "session_id", "data", "origin"}
    assert seen["origin"] == "external"
    assert await log_head(pair) == head
    async with pair.rest("alice") as client:
        page = await client.get(f"/api/sessions/{room}/messages")
    assert page.json() == {"messages": [], "has_more": False}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """A ws_node alone, with BROADCAST_TOKEN set."""
    directory = tmp_path_factory.mktemp("guarded")
    async with Pair(directory, start=("ws",), BROADCAST_TOKEN=TOKEN, LOG_LEVEL="DEBUG") as one:
        yield one
        assert TOKEN not in one.ws.output()


@pytest.mark.parametrize(
    "authorization",
    [None, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer ä"],
)
async def test_a_wrong_broadcast_token_is_refused(guarded: Pair, authorization: str | None) -> None:
    headers = {"Authorization": authorization.encode("latin-1")} if authorization else {}
    answer = clean(await broadcast(guarded, "room", EVENT, headers))  # type: ignore[arg-type]
    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")
    assert TOKEN not in answer.text
    for other in (guarded.headers("root", scopes="admin"), former_service_token(guarded)):
        answer = await broadcast(guarded, "room", EVENT, other)
        assert answer.status == 401


async def test_the_right_broadcast_token_works_through_a_proxy(guarded: Pair) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "10.0.0.1"}
    assert (await broadcast(guarded, "room", EVENT, headers)).status == 200
