"""A link that is revoked ends: its code at once, what its tokens opened within three seconds."""

import asyncio

import httpx

from tests.commands import partyline
from tests.integration.rooms import make_room
from tests.integration.test_revocation import WITHIN, closed
from tests.links.redeeming import (
    bearer,
    code_of,
    guest,
    live_link,
    login_code,
    redeem,
)
from tests.links.test_guests import client, socket
from tests.pair import Pair
from tests.security.asking import modern
from tests.waiting import until


async def refused(pair: Pair, headers: dict[str, str]) -> bool:
    """Whether both nodes refuse a token, within what is promised."""

    async def at(door: str) -> bool:
        async with client(pair, headers, door) as page:
            if door == "mcp":
                return (await page.get("/api/sessions")).status_code == 401
            return (await page.get("/metrics")).status_code == 401

    return bool(await until(lambda: at("ws"), within=WITHIN) and await at("mcp"))


async def test_a_revoked_link_ends_everywhere_and_no_other(pair: Pair, room: str) -> None:
    link, other = await live_link(pair, room), await live_link(pair, room)
    code = code_of(pair, link["url"])
    headers, stays = await bearer(pair, code), await bearer(pair, code_of(pair, other["url"]))
    async with (
        socket(pair, room, headers) as viewer,
        socket(pair, room, stays) as staying,
        client(pair, headers) as page,
        page.stream("GET", f"/events/{room}") as events,
    ):
        done, said, _ = await partyline(pair, "revoke", "--link", link["link_id"])
        assert done == 0 and link["link_id"] in said
        assert (await redeem(pair, code)).status_code == 401
        async with client(pair, headers, "mcp") as straight:
            assert (await straight.get("/api/sessions")).status_code == 401
        assert await closed(viewer) == 4501
        async with asyncio.timeout(WITHIN):
            assert b"4501" in await events.aread()
        await staying.send("ping")
        assert await staying.recv() == "pong"
    assert await refused(pair, headers)
    assert (await redeem(pair, code_of(pair, other["url"]))).status_code == 200


async def test_revoking_an_agent_revokes_the_links_it_minted(pair: Pair, room: str) -> None:
    link = await live_link(pair, room, "minter", write=True)
    code = code_of(pair, link["url"])
    theirs, others = await bearer(pair, code), await guest(pair, room, "bystander")
    assert (await partyline(pair, "revoke", "--agent", "minter"))[0] == 0
    assert (await redeem(pair, code)).status_code == 401
    assert await refused(pair, theirs)
    async with client(pair, others) as page:
        assert (await page.get("/api/sessions")).status_code == 200


async def test_revoking_a_token_revokes_the_links_minted_with_it(pair: Pair, room: str) -> None:
    arguments = ("--agent", "two-tokens", "--type", "claude", "--scopes", "read")
    _, token, said = await partyline(pair, "token", *arguments)
    headers = {"Authorization": f"Bearer {token.strip()}"}
    minted = await modern(pair, "get_live_link", b'{"session_id":"%b"}' % room.encode(), headers)
    with_other = await live_link(pair, room, "two-tokens")
    assert (await partyline(pair, "revoke", "--token", said.split()[1]))[0] == 0
    assert (await redeem(pair, code_of(pair, minted.result["url"]))).status_code == 401
    assert (await redeem(pair, code_of(pair, with_other["url"]))).status_code == 200


async def test_login_links_are_revoked_used_or_not(pair: Pair) -> None:
    async def listed() -> list[str]:
        _, out, _ = await partyline(pair, "links")
        return [line for line in out.splitlines() if line.startswith("login-")]

    before = set(await listed())
    code = await login_code(pair)
    (row,) = set(await listed()) - before
    assert row.split()[:4] == [row.split()[0], "login", "all", "everything"]
    assert row.endswith("valid")
    headers = await bearer(pair, code)
    assert (await partyline(pair, "revoke", "--link", row.split()[0]))[0] == 0
    assert await refused(pair, headers)
    unused = await login_code(pair)
    assert (await partyline(pair, "revoke", "--agent", "human"))[0] == 0
    assert (await redeem(pair, unused)).status_code == 401
    assert not [line for line in await listed() if line.endswith("valid")]


async def test_redeeming_and_revoking_at_once_leaves_no_token_that_works(
    pair: Pair, room: str
) -> None:
    link = await live_link(pair, room, "racer")
    code = code_of(pair, link["url"])
    answers = await asyncio.gather(
        *(redeem(pair, code, url=pair.mcp_url) for _ in range(5)),
        partyline(pair, "revoke", "--link", link["link_id"]),
        *(redeem(pair, code, url=pair.mcp_url) for _ in range(5)),
    )
    for answer in answers:
        if isinstance(answer, httpx.Response) and answer.status_code == 200:
            headers = {"Authorization": f"Bearer {answer.json()['token']}"}
            assert await refused(pair, headers)


async def test_what_cannot_be_revoked_says_so(pair: Pair) -> None:
    for arguments in (("--link", "absent-00000000"), ("--link", "no name"), ("--agent", "guest:")):
        code, out, err = await partyline(pair, "revoke", *arguments)
        assert (code, out) == (2, "")
        assert err.startswith("partyline: mcp_node refused the request (")
        assert "no name" not in err
    assert (await partyline(pair, "revoke", "--agent", "guest:absent-00000000"))[0] == 0


async def test_after_a_restart_of_both_nodes_a_revoked_link_stays_revoked() -> None:
    """And until ws_node has reached mcp_node it takes no link's token."""
    async with Pair() as own:
        await make_room(own, "room")
        link = await live_link(own, "room")
        gone = await bearer(own, code_of(own, link["url"]))
        good = await guest(own, "room")
        human = await bearer(own, await login_code(own))
        assert (await partyline(own, "revoke", "--link", link["link_id"]))[0] == 0
        own.mcp.kill()
        own.ws.kill()
        await own.ws.start()
        for headers in (gone, good, human):
            async with socket(own, "room", headers) as viewer:
                assert await closed(viewer) == 4003
            async with client(own, headers) as page:
                assert (await page.get("/events/room")).status_code == 503
                assert (await page.get("/metrics")).status_code == 503
                away = await page.get("/api/sessions")
                assert (away.status_code, away.json()["error"]["code"]) == (503, "UNAVAILABLE")
        async with own.viewer("room") as agent:  # an agent's token is taken
            await agent.send("ping")
            assert await agent.recv() == "pong"
        await own.mcp.start()
        await until(own.joined)
        for headers in (good, human):
            async with socket(own, "room", headers) as viewer:
                await viewer.send("ping")
                assert await viewer.recv() == "pong"
        async with socket(own, "room", gone) as viewer:
            assert await closed(viewer) == 4500
        async with client(own, gone, "mcp") as page:
            assert (await page.get("/api/sessions")).status_code == 401
