"""Reading: the bottom, the pill, older messages, ten thousand of them, what is unread."""

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import People
from tests.browser.people import ids
from tests.integration.rooms import say
from tests.pair import Pair
from tests.waiting import START_SECONDS, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

AT_ONCE = 16


async def filled(pair: Pair, room: str, count: int) -> list[int]:
    """A session with that many messages; their ids in order."""
    async with pair.rest(scopes="read,write") as rest:
        await rest.post("/api/sessions", json={"session_id": room, "purpose": "Much to read"})
        made: list[int] = []
        for start in range(0, count, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, count))
            answers = await asyncio.gather(*(say(rest, room, f"number {n}") for n in numbers))
            made += answers
    return sorted(made)


async def at_the_bottom(page: Page) -> bool:
    """Whether nothing lies between what is shown and the newest, but for a fraction of a pixel."""
    distance: float = await page.evaluate(
        "(({scrollHeight: h, scrollTop: t, clientHeight: c}) => h - t - c)"
        "(document.querySelector('.scroller'))"
    )
    return distance < 2


async def test_the_page_stays_at_the_bottom_or_says_what_is_new(
    pair: Pair, people: People, name: str
) -> None:
    await filled(pair, name, 60)
    person = await people.enter(pair)
    page = await person.open(name)
    async with pair.rest() as rest:
        await say(rest, name, "at the bottom")
        await expect(page.get_by_text("at the bottom", exact=True)).to_be_in_viewport()
        await until(lambda: at_the_bottom(page))
        await page.locator(".message", has_text="number 30").scroll_into_view_if_needed()
        await expect(page.locator(".pill")).to_have_text("To the newest")
        before = await page.locator(".message", has_text="number 30").bounding_box()
        for n in range(3):
            await say(rest, name, f"new {n}")
    await expect(page.locator(".pill")).to_have_text("3 new")
    assert await page.locator(".message", has_text="number 30").bounding_box() == before
    await page.locator(".pill").click()
    await expect(page.get_by_text("new 2", exact=True)).to_be_in_viewport()
    await expect(page.locator(".pill")).to_be_hidden()


async def test_older_messages_come_on_scrolling_up_and_nothing_jumps(
    pair: Pair, people: People, name: str
) -> None:
    made = await filled(pair, name, 350)
    person = await people.enter(pair)
    page = await person.open(name)
    await until(lambda: at_least(page, 100))
    assert await ids(page) == made[-len(await ids(page)) :]
    await page.locator(".scroller").hover()

    async def all_there() -> bool:
        if len(await ids(page)) < 350:
            await page.mouse.wheel(0, -3000)
        return await at_least(page, 350)

    await until(all_there, within=START_SECONDS)
    assert await ids(page) == made
    await page.evaluate("document.querySelector('.scroller').scrollTop = 0")
    await expect(page.locator(".older")).to_have_text("The beginning of this session")


async def at_least(page: Page, count: int) -> bool:
    return len(await ids(page)) >= count


async def test_a_link_to_an_old_message_leads_there(pair: Pair, people: People, name: str) -> None:
    made = await filled(pair, name, 250)
    person = await people.enter(pair)
    page = person.page
    await page.goto(f"/#/s/{name}/{made[3]}")
    await expect(page.locator(f"#message-{made[3]}")).to_be_in_viewport()
    await expect(page.locator(f"#message-{made[3]}")).to_be_focused()


async def test_the_title_and_the_list_say_what_is_unread(
    pair: Pair, people: People, name: str
) -> None:
    await filled(pair, name, 1)
    await filled(pair, f"{name}-other", 1)
    person = await people.enter(pair)
    page = await person.open(name)
    await expect(page.locator(".session", has_text=f"{name}-other")).to_be_visible()
    async with pair.rest() as rest:
        for n in range(2):
            await say(rest, f"{name}-other", f"elsewhere {n}")
        await say(rest, name, "here")
    await expect(page).to_have_title(f"(2) {name} · Partyline")
    row = page.locator(".session", has_text=f"{name}-other")
    await expect(row.locator(".dot")).to_contain_text("2")
    await expect(row).to_contain_text("elsewhere 1")
    await row.click()
    await expect(page).to_have_title(f"{name}-other · Partyline")


async def test_a_reply_further_up_is_pointed_at(pair: Pair, people: People, name: str) -> None:
    [first, *_] = await filled(pair, name, 40)
    person = await people.enter(pair)
    page = await person.open(name)
    async with pair.rest() as rest:
        reply = await say(rest, name, "answering the first", parent_message_id=first)
    await expect(page.locator(".pointer")).to_contain_text("answering the first")
    await page.locator(".pointer button").click()
    await expect(page.locator(f"#message-{reply}")).to_be_in_viewport()
