"""What a viewer may not say over its socket, or in the socket's address."""

import asyncio
import itertools
import json

import pytest
import websockets

from tests.clients import closed_with, frame
from tests.pair import Pair
from tests.security.bad_messages import nested
from tests.security.unharmed import MARK, make_room, unharmed
from tests.waiting import PATIENCE

BAD_COMMANDS: dict[str, str | bytes] = {
    "empty": "",
    "text": "MARK",
    "ping with more": "ping ",
    "cut": '{"type":"ping"',
    "list": '["ping"]',
    "number": "7",
    "null": "null",
    "no type": '{"MARK":1}',
    "unknown type": '{"type":"MARK"}',
    "server's type": '{"type":"subscribed"}',
    "a message": '{"type":"new_message","data":{"content":"MARK"}}',
    "type list": '{"type":["ping"]}',
    "extra field": '{"type":"ping","MARK":1}',
    "twice": '{"type":"ping","type":"ping"}',
    "NaN": '{"type":"subscribe","since":NaN}',
    "surrogate": '{"type":"\\ud800"}',
    "NUL": '{"type":"\\u0000"}',
    "nine levels": nested(9).decode(),
    "deep": "[" * 60_000,
    "since negative": '{"type":"subscribe","since":-1}',
    "since past 2**53": '{"type":"subscribe","since":9007199254740993}',
    "since past 64 bits": '{"type":"subscribe","since":18446744073709551616}',
    "since text": '{"type":"subscribe","since":"MARK"}',
    "since true": '{"type":"subscribe","since":true}',
    "since fraction": '{"type":"subscribe","since":1.0}',
    "epoch alone": '{"type":"subscribe","epoch":"MARK"}',
    "epoch empty": '{"type":"subscribe","since":1,"epoch":""}',
    "epoch long": '{"type":"subscribe","since":1,"epoch":"' + "x" * 65 + '"}',
    "epoch number": '{"type":"subscribe","since":1,"epoch":1}',
    "binary": b'{"type":"ping"}',
}
"""MARK stands for the mark that must not come back."""


async def test_a_bad_command_is_refused_and_the_socket_stays(pair: Pair) -> None:
    async with unharmed(pair) as room, pair.viewer(room) as viewer:
        for bad, command in BAD_COMMANDS.items():
            sent = command.replace("MARK", MARK) if isinstance(command, str) else command
            await viewer.send(sent)
            answer = await frame(viewer)
            assert (answer["type"], answer["code"]) == ("error", "INVALID_INPUT"), bad
            assert MARK not in json.dumps(answer), bad
            await viewer.send("ping")
            assert await asyncio.wait_for(viewer.recv(), PATIENCE) == "pong", bad


async def ended_with(viewer: websockets.ClientConnection) -> int:
    code = await closed_with(viewer)
    assert MARK not in (viewer.close_reason or "")
    return code


async def test_a_command_that_is_too_large_ends_the_socket(pair: Pair) -> None:
    async with unharmed(pair) as room, pair.viewer(room) as viewer:
        await viewer.send('{"type":"' + MARK * 10_000 + '"}')
        assert await ended_with(viewer) == 1009


async def test_a_too_large_command_in_small_pieces_ends_the_socket(pair: Pair) -> None:
    async with unharmed(pair) as room, pair.viewer(room) as viewer:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            async with asyncio.timeout(PATIENCE):
                await viewer.send(iter([MARK * 90] * 3_000))
                await viewer.recv()
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1009


BAD_POSITIONS = [
    *("?since=", "?since=-1", "?since=x", f"?since={MARK}", "?since=9007199254740993"),
    *("?since=1&since=2", "?since=%EF%BC%91", "?since=" + "9" * 5_000, "?epoch=a", "?since=1.0"),
    *("?since=1&epoch=a&epoch=b", "?since=1&epoch=", "?since=1&epoch=" + "x" * 65),
    "?" + "&".join(f"{MARK}{n}=1" for n in range(100)),
    "?since=1&" + "&".join(["a=1"] * 100),
]


async def test_a_bad_position_in_the_address_is_refused(pair: Pair) -> None:
    async with unharmed(pair) as room:
        for query in BAD_POSITIONS:
            async with pair.viewer(room, query=query) as viewer:
                assert await ended_with(viewer) == 4502, query


async def test_a_malformed_session_id_is_refused(pair: Pair) -> None:
    async with unharmed(pair):
        for name in ("", "%20", "a%20b", "%00", "a%0Ab", "-a", "a" * 65, "%C3%A9", "%ff"):
            async with pair.viewer(name) as viewer:
                assert await ended_with(viewer) == 4502, name


async def test_there_is_no_socket_elsewhere(pair: Pair) -> None:
    paths = ("/wsx", "/ws/a/b", "/", f"/{MARK}", "/broadcast/a")
    async with unharmed(pair):
        for port, path in itertools.product((pair.ws_port, pair.mcp_port), paths):
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with websockets.connect(
                    f"ws://127.0.0.1:{port}{path}",
                    additional_headers=pair.headers("alice"),
                    proxy=None,
                ):
                    pass
            assert 400 <= refused.value.response.status_code < 500
            assert MARK.encode() not in (refused.value.response.body or b"")


async def test_two_tokens_in_subprotocols_are_refused(pair: Pair) -> None:
    room = await make_room(pair)
    tokens = [pair.token(name) for name in ("alice", "bob")]
    async with websockets.connect(
        f"ws://127.0.0.1:{pair.ws_port}/ws/{room}",
        subprotocols=[websockets.Subprotocol(f"bearer.{one}") for one in tokens],
        proxy=None,
    ) as viewer:
        assert viewer.subprotocol is None
        assert await ended_with(viewer) == 4500
