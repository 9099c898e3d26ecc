"""Links of a real pair: minted as an agent or the operator does, and redeemed as a page does."""

import re
from typing import Any

import httpx

from tests import postgres
from tests.clients import plain_client
from tests.pair import Pair

URL = re.compile(r"http://127\.0\.0\.1:(\d+)/#code=([A-Za-z0-9_-]{43})")


def code_of(pair: Pair, url: str) -> str:
    """The code in a link, which leads to this pair's page."""
    found = URL.fullmatch(url)
    assert found is not None, url
    assert int(found[1]) == pair.ws_port or postgres.wanted()  # then it may be of another pair
    return found[2]


async def live_link(pair: Pair, room: str, agent: str = "alice", **arguments: Any) -> Any:
    """What get_live_link gives an agent; ``rights`` are its token's."""
    rights = arguments.pop("rights", {})
    async with pair.agent(agent, **rights) as client:
        arguments = {"session_id": room, **arguments}
        return (await client.call_tool("get_live_link", arguments)).structured_content


async def login_code(pair: Pair) -> str:
    """The code of a new login link."""
    async with pair.service() as client:
        minted = await client.post("/api/links", json={"kind": "login"})
    assert minted.status_code == 201, minted.text
    assert minted.headers["cache-control"] == "no-store"
    return code_of(pair, minted.json()["url"])


async def redeem(
    pair: Pair, code: Any, headers: dict[str, str] | None = None, *, url: str = ""
) -> httpx.Response:
    """The answer to a code, from ws_node unless another url is given."""
    async with plain_client(base_url=url or pair.ws_url) as client:
        return await client.post("/api/redeem", json={"code": code}, headers=headers)


async def bearer(pair: Pair, code: str) -> dict[str, str]:
    """Authorization of whoever redeems a good code."""
    answer = await redeem(pair, code)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


async def guest(pair: Pair, room: str, agent: str = "alice", **arguments: Any) -> dict[str, str]:
    """Authorization of a guest by a new live link."""
    link = await live_link(pair, room, agent, **arguments)
    return await bearer(pair, code_of(pair, link["url"]))
