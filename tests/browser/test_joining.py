"""People write: an agent that waits hears them (must hold 4), and nothing typed is lost."""

import asyncio
import contextlib
from typing import Any

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import expect

from tests.browser.conftest import People
from tests.browser.people import ids, operators_token, texts
from tests.pair import Pair
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def opened(pair: Pair, name: str) -> None:
    async with pair.agent("alice") as agent:
        await agent.call_tool("create_session", {"session_id": name, "purpose": "Talking"})


async def test_a_reply_reaches_an_agent_that_waits(pair: Pair, people: People, name: str) -> None:
    async with pair.agent("alice") as agent:
        await agent.call_tool("create_session", {"session_id": name, "purpose": "Waiting"})
        asked: Any = await agent.call_tool(
            "add_message", {"session_id": name, "content": "Shall I go on?"}
        )
        question = asked.structured_content["message_id"]
        waiting = asyncio.create_task(
            agent.call_tool("wait_for_messages", {"session_id": name, "timeout_seconds": 50})
        )
        await until(lambda: waits(pair, name))
        person = await people.enter(pair)
        page = await person.open(name)
        await expect(page.locator(".agent.waiting")).to_have_count(1)
        message = page.locator(f"#message-{question}")
        await message.hover()
        await message.get_by_role("button", name="Reply").click()
        await page.keyboard.type("Yes, go on")
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("and be careful")
        await page.keyboard.press("Enter")
        heard: Any = (await waiting).structured_content
    [reply] = heard["messages"]
    assert reply["content"] == "Yes, go on\nand be careful"
    assert (reply["sender"], reply["sender_type"]) == ("human", "human")
    assert reply["parent_message_id"] == question
    await expect(page.locator(f"#message-{question} > .replies > .message")).to_have_count(1)
    await expect(page.locator(".pending-list > *")).to_have_count(0)
    assert await ids(page) == [question, reply["id"]]


async def waits(pair: Pair, name: str) -> bool:
    async with pair.rest() as rest:
        agents = (await rest.get(f"/api/sessions/{name}/agents")).json()["agents"]
    return any(one["waiting"] for one in agents)


async def test_what_could_not_be_sent_stays_and_is_said_once(
    killable: Pair, people: People, name: str
) -> None:
    await opened(killable, name)
    person = await people.enter(killable)
    page = await person.open(name)
    killable.mcp.kill()
    await page.fill("#composer-text", "Do not lose this")
    await page.press("#composer-text", "Enter")
    await expect(page.locator(".pending .status")).to_have_text("no answer yet, trying again…")
    await page.fill("#composer-text", "and this draft")
    await page.reload()  # the page goes, what was typed stays
    await expect(page.locator("#composer-text")).to_have_value("and this draft")
    await expect(page.locator(".pending .content")).to_have_text("Do not lose this")
    killable.mcp.spawn()
    await killable.mcp.answers()
    await person.open(name)
    retry = page.get_by_role("button", name="Retry")

    async def sent() -> bool:
        if await retry.count():  # unless the page does it, being live again
            with contextlib.suppress(PlaywrightError):
                await retry.click(timeout=1_000)
        return await said(page, ["Do not lose this"])

    await until(sent)
    await expect(page.locator(".pending-list > *")).to_have_count(0)
    async with killable.rest() as rest:
        stored = (await rest.get(f"/api/sessions/{name}/messages")).json()["messages"]
    assert [one["content"] for one in stored] == ["Do not lose this"]


async def said(page: Any, expected: list[str]) -> bool:
    return await texts(page) == expected


async def test_who_may_only_read_is_offered_no_composer(
    pair: Pair, people: People, name: str
) -> None:
    await opened(pair, name)
    reader = await people.enter(pair, pair.token("rita", kind="person", scopes="read"))
    page = await reader.open(name)
    await expect(page.locator(".read-only")).to_be_visible()
    await expect(page.locator(".composer")).to_have_count(0)
    await expect(page.locator("button.reply")).to_have_count(0)


async def test_without_a_token_the_page_says_how_to_get_in(
    pair: Pair, people: People, name: str
) -> None:
    stranger = await people.enter(pair, "")
    await stranger.page.goto(f"/#/s/{name}")
    await expect(stranger.page.locator(".sign-in")).to_contain_text("make run")
    await expect(stranger.page.locator(".session-view")).to_have_count(0)


async def test_a_token_that_is_no_good_asks_to_sign_in(
    pair: Pair, people: People, name: str
) -> None:
    late = await people.enter(pair, pair.token("olivia", kind="person")[:-4] + "AAAA")
    await late.page.goto(f"/#/s/{name}")
    await expect(late.page.get_by_role("alert")).to_contain_text("no longer valid")


async def test_visibility_is_chosen_and_kept_to(pair: Pair, people: People, name: str) -> None:
    await opened(pair, name)
    olivia = await people.enter(pair)
    other = await people.enter(pair, pair.token("rita", kind="person", scopes="read,write"))
    page = await olivia.open(name)
    theirs = await other.open(name)
    await expect(theirs.locator(".composer option")).to_have_count(3)  # not: admins
    for visibility in ("private", "public"):
        await page.select_option(".composer select", visibility)
        await page.fill("#composer-text", f"a {visibility} word")
        await page.press("#composer-text", "Enter")
    await until(lambda: said(page, ["a private word", "a public word"]))
    await until(lambda: said(theirs, ["a public word"]))
    await expect(page.locator(".message .visibility.private")).to_have_text("private")


async def test_signing_out_forgets_what_was_typed_and_read(
    pair: Pair, people: People, name: str
) -> None:
    await opened(pair, name)
    person = await people.enter(pair, "")
    page = person.page
    await page.goto("/")
    await page.evaluate(
        "(token) => { localStorage.setItem('partyline.token', token);"
        " localStorage.setItem('unrelated', 'stays'); }",
        operators_token(pair),
    )
    await page.reload()
    await person.open(name)
    await page.fill("#composer-text", "said")
    await page.press("#composer-text", "Enter")
    await until(lambda: said(page, ["said"]))
    await page.fill("#composer-text", "a draft")
    assert len(await kept(page)) > 2  # token, draft, how far was read
    await page.locator(".who summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator(".sign-in")).to_be_visible()
    assert await kept(page) == ["unrelated"]


async def kept(page: Any) -> list[str]:
    """The keys in the origin's storage."""
    keys: list[str] = await page.evaluate("Object.keys(localStorage)")
    return keys
