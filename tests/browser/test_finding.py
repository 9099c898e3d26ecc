"""Search in a session and over all, and messages that are deleted while somebody looks."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import People
from tests.browser.test_reading import filled
from tests.integration.rooms import say
from tests.pair import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_search_in_a_session_and_over_all(pair: Pair, people: People, name: str) -> None:
    other = f"{name}-other"
    await filled(pair, name, 1)
    await filled(pair, other, 1)
    word = f"needle{name.replace('-', '')}"
    async with pair.rest() as rest:
        found = await say(rest, name, f"a {word} <b>here</b>")
        await say(rest, other, f"and a {word} there")
        await say(rest, name, f"my own {word}", visibility="private")
    person = await people.enter(pair)
    page = await person.open(name)
    await page.fill(".search-here", word)
    await page.press(".search-here", "Enter")
    await expect(page.locator(".result")).to_have_count(1)
    await expect(page.locator(".result mark")).to_have_text(word)
    await expect(page.locator(".result")).to_contain_text("<b>here</b>")
    await page.fill(".search-all", word)
    await page.press(".search-all", "Enter")
    await expect(page.locator(".result")).to_have_count(2)
    await page.locator(".result a", has_text="<b>here</b>").click()
    await expect(page.locator(f"#message-{found}")).to_be_focused()


async def test_a_message_is_deleted_while_somebody_looks(
    pair: Pair, people: People, name: str
) -> None:
    [first, *_] = await filled(pair, name, 2)
    person = await people.enter(pair)
    page = await person.open(name)
    await expect(page.locator(f"#message-{first}")).to_contain_text("number")
    async with pair.rest() as rest:
        answer = await rest.delete(f"/api/sessions/{name}/messages/{first}")
        assert answer.is_success, answer.text
    content = page.locator(f"#message-{first} .content")
    await expect(content).to_have_text("This message was deleted.")
    await page.reload()
    await expect(content).to_have_text("This message was deleted.")
