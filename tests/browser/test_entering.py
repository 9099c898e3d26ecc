"""Links: who comes in by one, and what a read-only link cannot do (must hold 5)."""

import json
from typing import Any

import httpx
import pytest
import websockets
from playwright.async_api import expect

from tests.browser.conftest import People
from tests.browser.people import Person, ids
from tests.clients import closed_with, plain_client
from tests.commands import partyline
from tests.pair import Pair
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def login_link(pair: Pair) -> str:
    """What `partyline login` prints last."""
    code, output, _ = await partyline(pair, "login")
    assert code == 0
    return output.split()[-1]


async def live_link(pair: Pair, room: str, **rights: Any) -> str:
    async with pair.agent("alice") as agent:
        await agent.call_tool("create_session", {"session_id": room, "purpose": "Shown"})
        await agent.call_tool("add_message", {"session_id": room, "content": "for everybody"})
        secret = {"session_id": room, "content": "for me", "visibility": "private"}
        await agent.call_tool("add_message", secret)
        got: Any = await agent.call_tool("get_live_link", {"session_id": room, **rights})
    url: str = got.structured_content["url"]
    return url


async def test_a_login_link_lets_the_operator_in_once(
    pair: Pair, people: People, name: str
) -> None:
    await live_link(pair, name)
    link = await login_link(pair)
    person = await people.enter(pair, "")
    page = person.page
    await page.goto(link)
    await expect(page.locator(".session", has_text=name)).to_be_visible()
    assert "code" not in page.url
    await expect(page.locator(".who")).to_contain_text("human")
    await page.go_back()
    assert "code" not in page.url
    late = await people.enter(pair, "")
    await late.page.goto(link)
    await expect(late.page.get_by_role("alert")).to_contain_text("has been used")


async def guest(pair: Pair, people: People, link: str) -> tuple[Person, str]:
    """Somebody who came by a live link, and their token."""
    person = await people.enter(pair, "")
    await person.page.goto(link)
    await expect(person.page.locator(".session-view")).to_be_visible()
    token = await person.page.evaluate("localStorage.getItem('partyline.token')")
    return person, str(token)


async def test_a_read_only_link_reads_one_session_and_writes_nowhere(
    pair: Pair, people: People, name: str
) -> None:
    other = f"{name}-other"
    await live_link(pair, other)
    person, token = await guest(pair, people, await live_link(pair, name))
    page = person.page
    await until(lambda: shows(person, 1))  # and not what is private
    await expect(page.locator(".read-only")).to_be_visible()
    await expect(page.locator(".session")).to_have_count(1)
    await page.evaluate(f"location.hash = '#/s/{other}'")
    await expect(page.get_by_role("alert")).to_be_visible()
    assert await ids(page) == []

    headers = {"Authorization": f"Bearer {token}"}
    for base in (pair.ws_url, pair.mcp_url):
        async with plain_client(base_url=base, headers=headers) as rest:
            assert await refused(rest, "POST", f"/api/sessions/{name}/messages") == 403
            assert await refused(rest, "POST", "/api/sessions") == 403
            for path in (f"/api/sessions/{other}", f"/api/sessions/{other}/messages"):
                assert (await rest.get(path)).status_code == 404
            listed = (await rest.get("/api/sessions")).json()["sessions"]
            assert [one["session_id"] for one in listed] == [name]
    assert await refused_with(pair, f"/ws/{other}", token) == 4501
    async with websockets.connect(
        f"{pair.ws_url.replace('http', 'ws')}/ws", additional_headers=headers, proxy=None
    ) as socket:
        await socket.send(json.dumps({"type": "subscribe", "session_id": other}))
        assert json.loads(await socket.recv())["code"] == "FORBIDDEN"
        await socket.send(json.dumps({"type": "new_message", "session_id": name, "data": {}}))
        assert json.loads(await socket.recv())["type"] == "error"


async def shows(person: Person, count: int) -> bool:
    return len(await ids(person.page)) == count


async def refused(rest: httpx.AsyncClient, method: str, path: str) -> int:
    body = {"purpose": "x"} if path.endswith("/sessions") else {"content": "x"}
    return (await rest.request(method, path, json=body)).status_code


async def refused_with(pair: Pair, path: str, token: str) -> int:
    async with websockets.connect(
        f"{pair.ws_url.replace('http', 'ws')}{path}",
        additional_headers={"Authorization": f"Bearer {token}"},
        proxy=None,
    ) as socket:
        return await closed_with(socket)


async def test_a_guest_who_may_write_is_marked(pair: Pair, people: People, name: str) -> None:
    link = await live_link(pair, name, write=True)
    person, _ = await guest(pair, people, link)
    page = person.page
    await expect(page.locator(".composer select")).to_be_disabled()
    await page.fill("#composer-text", "hello from outside")
    await page.press("#composer-text", "Enter")
    await until(lambda: shows(person, 2))
    await expect(page.locator(".message .badge")).to_have_text("guest")


async def test_the_operator_stays_the_operator_on_a_guests_link(
    pair: Pair, people: People, name: str
) -> None:
    link = await live_link(pair, name)
    person = await people.enter(pair)
    await person.page.goto(link)
    await expect(person.page.locator(".session-view h2")).to_have_text(name)
    await expect(person.page.locator(".who")).to_contain_text("human")


async def test_without_auth_anybody_is_in_and_is_told_so(people: People, name: str) -> None:
    async with Pair(auth="off") as open_pair:
        anybody = await people.enter(open_pair, "")
        async with open_pair.agent() as agent:
            await agent.call_tool("create_session", {"session_id": name, "purpose": "Open"})
        page = await anybody.open(name)
        await expect(page.locator(".banner")).to_contain_text("AUTH=off")
        await expect(page.locator(".composer select")).to_be_disabled()
        await page.fill("#composer-text", "anybody can write")
        await page.press("#composer-text", "Enter")
        await until(lambda: shows(anybody, 1))
        await expect(page.locator(".pending-list > *")).to_have_count(0)
