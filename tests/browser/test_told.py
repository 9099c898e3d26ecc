"""What the page tells without being asked: to screen readers, and while it reads what it missed."""

import asyncio
import re
import time

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import People
from tests.browser.people import ids
from tests.browser.test_reading import filled
from tests.integration.rooms import say
from tests.pair import Pair
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

RECORD = """(selector) => {
  const place = document.querySelector(selector);
  window.told = [];
  new MutationObserver(() => window.told.push(place.textContent)).observe(place, {
    childList: true, characterData: true, subtree: true,
  });
}"""


async def told(page: Page) -> list[str]:
    found: list[str] = await page.evaluate("window.told")
    return found


async def test_screen_readers_are_told_what_is_new_and_nothing_that_was_there(
    pair: Pair, people: People, name: str
) -> None:
    await filled(pair, name, 3)
    page = (await people.enter(pair)).page
    await page.goto("/")
    await page.evaluate(RECORD, "#announcer")
    await page.evaluate("(name) => { location.hash = `#/s/${name}`; }", name)
    await until(lambda: has(page, 3))
    async with pair.rest() as rest:
        await say(rest, name, "fresh")
        await until(lambda: said(page, "alice: fresh"))
        await asyncio.gather(*(say(rest, name, f"one of many {n}") for n in range(8)))
    await until(lambda: has(page, 12))
    await until(lambda: many(page))
    await page.fill("#composer-text", "my own")
    await page.keyboard.press("Enter")
    await until(lambda: has(page, 13))
    async with pair.rest() as rest:
        await say(rest, name, "the last")
    await until(lambda: said(page, "alice: the last"))
    everything = " ".join(await told(page))
    assert "number" not in everything and "my own" not in everything
    assert await page.get_attribute("#announcer", "aria-live") == "polite"


async def test_the_page_says_how_many_messages_it_is_catching_up_on(
    killable: Pair, people: People, name: str
) -> None:
    await filled(killable, name, 1)
    page = await (await people.enter(killable)).open(name)
    killable.ws.kill()
    await expect(page.locator(".connection")).to_have_attribute("data-state", "reconnecting")
    await page.evaluate(RECORD, ".state-text")
    made = await filled(killable, name, 120)
    over = time.monotonic() + 2.5  # what is fresher than two seconds is not the past
    await until(lambda: time.monotonic() > over)
    killable.ws.spawn()
    await killable.ws.answers()
    await expect(page.locator(".connection")).to_have_attribute("data-state", "live")
    await until(lambda: has(page, 121))
    assert (await ids(page))[1:] == made
    counts = [re.fullmatch(r"catching up (\d+) messages?", text) for text in await told(page)]
    numbers = [int(count[1]) for count in counts if count]
    assert numbers and numbers == sorted(numbers)
    assert numbers[-1] <= 120


async def has(page: Page, count: int) -> bool:
    return len(await ids(page)) == count


async def many(page: Page) -> bool:
    """Whether all eight were told of: the first few by name, or just how many."""
    everything = ". ".join(await told(page))
    counted = sum(int(count) for count in re.findall(r"(\d+) new messages", everything))
    return counted + everything.count("one of many") == 8


async def said(page: Page, text: str) -> bool:
    return any(text in each for each in await told(page))
