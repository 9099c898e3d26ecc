"""What agents say appears on the page, at once and in every tab (must hold 1)."""

import asyncio
import time

import pytest
from playwright.async_api import Page

from tests.browser.conftest import People
from tests.browser.people import ids, texts
from tests.pair import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECONDS = 3.0
"""A tenth of one on an idle machine; who asked for the log now and then would be later."""

APPEARS = """
(text) => new Promise((resolve) => {
  const list = document.querySelector(".messages");
  const look = () => list.textContent.includes(text) && resolve(Date.now());
  new MutationObserver(look).observe(list, { childList: true, subtree: true });
  look();
})
"""
"""When a text is on the page, by the clock that this process has too."""


async def appears(page: Page, text: str) -> float:
    moment: int = await page.evaluate(APPEARS, text)
    return moment / 1000


async def test_a_message_appears_in_three_tabs_at_once(
    pair: Pair, people: People, name: str
) -> None:
    spoken = [f"message {n}" for n in range(8)]
    late = []
    async with pair.agent("alice") as agent:
        await agent.call_tool("create_session", {"session_id": name, "purpose": "Three tabs"})
        person = await people.enter(pair)
        tabs = [person.page, await person.tab(), await person.tab()]
        for tab in tabs:
            await person.open(name, tab)
        for text in spoken:
            waiting = [asyncio.create_task(appears(tab, text)) for tab in tabs]
            await agent.call_tool("add_message", {"session_id": name, "content": text})
            answered = time.time()
            late.append(max(await asyncio.gather(*waiting)) - answered)
    print(f"after the tool's answer, in the last tab: {[round(one, 3) for one in late]} s")
    for tab in tabs:
        assert await texts(tab) == spoken
        assert await ids(tab) == sorted(await ids(tab))
    assert sorted(late)[len(late) // 2] < SECONDS
