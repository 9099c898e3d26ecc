"""/broadcast: so many events a second, no large ones, none that take long to parse."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.clients import frame, plain_client
from tests.pair import Pair
from tests.security.asking import JSON

EVENT = b'{"type":"a","data":{}}'
RATE = 1


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[Pair]:
    """A ws_node alone that takes few events; one for each test, since they use up its rate."""
    async with Pair(
        tmp_path,
        start=("ws",),
        BROADCASTS_PER_SECOND=RATE,
        MAX_BROADCAST_BYTES=200_000,
    ) as one:
        yield one


async def post(pair: Pair, client: httpx.AsyncClient, body: bytes = EVENT) -> httpx.Response:
    return await client.post(f"{pair.ws_url}/broadcast/room", content=body, headers=JSON)


async def taken(pair: Pair, addresses: list[str]) -> tuple[int, float]:
    """How many of one event from each address, all at once, are taken, and how long that took."""
    begin = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        ways = [httpx.AsyncHTTPTransport(local_address=one, verify=False) for one in addresses]
        clients = [await stack.enter_async_context(plain_client(transport=way)) for way in ways]
        answers = await asyncio.gather(*(post(pair, client) for client in clients))
    for answer in answers:
        if answer.status_code != 200:
            assert answer.status_code == 429
            assert answer.json()["success"] is False
            assert answer.json()["error"].startswith("RATE_LIMITED: ")
            assert int(answer.headers["retry-after"]) > 0
    return sum(answer.status_code == 200 for answer in answers), time.monotonic() - begin


async def test_an_address_has_a_rate_and_all_have_four_times_that(limited: Pair) -> None:
    one, seconds = await taken(limited, ["127.0.1.1"] * 40)
    assert 1 <= one <= 3 * RATE + RATE * seconds
    many, seconds = await taken(limited, [f"127.0.2.{number}" for number in range(1, 81)])
    assert 3 * RATE + RATE * seconds < many <= 4 * (3 * RATE + RATE * seconds)


async def insist(pair: Pair, client: httpx.AsyncClient, body: bytes) -> int:
    """The status, once it is not the rate's."""
    while (answer := await post(pair, client, body)).status_code == 429:
        await asyncio.sleep(0.1)
    return answer.status_code


async def test_an_event_has_its_bounds_in_bytes_and_in_values(limited: Pair) -> None:
    async with limited.viewer("room") as viewer, plain_client() as client:
        large = b'{"type":"a","data":{"a":"%b"}}' % (b"x" * 200_000)
        assert await insist(limited, client, large) == 413
        many = b'{"type":"a","data":{"a":[%b[]]}}' % (b"[]," * 5_000)
        assert await insist(limited, client, many) == 422
        text = "x, [y]" * 30_000
        event = json.dumps({"type": "last", "data": {"text": text}}).encode()
        assert await insist(limited, client, event) == 200
        while (got := await frame(viewer))["type"] != "last":
            pass
        assert got["data"]["text"] == text
