"""What agents say appears on the page, at once and in every tab (must hold 1)."""

import asyncio
import time

import pytest
from playwright.async_api import Page

from tests.browser.conftest import People
from tests.browser.people import texts
from tests.pair import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def appears(page: Page, text: str) -> float:
    """When a text is on the page, by this process's clock."""
    await page.wait_for_function(
        "text => document.querySelector('.messages').innerText.includes(text)", arg=text, polling=5
    )
    return time.monotonic()


async def test_a_message_appears_in_three_tabs_at_once(
    pair: Pair, people: People, name: str
) -> None:
    async with pair.agent("alice") as agent:
        await agent.call_tool("create_session", {"session_id": name, "purpose": "Three tabs"})
        person = await people.enter(pair)
        tabs = [await person.open(name, page) for page in [person.page, await person.tab()]]
        tabs.append(await person.open(name, await person.tab()))
        for text in ("first", "second", "third"):
            waiting = [asyncio.create_task(appears(tab, text)) for tab in tabs]
            await agent.call_tool("add_message", {"session_id": name, "content": text})
            await asyncio.gather(*waiting)
    for tab in tabs:
        assert await texts(tab) == ["first", "second", "third"]
