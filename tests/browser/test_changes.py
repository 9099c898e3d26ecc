"""Edits and reactions on the page: live, in what is loaded, and by the viewer's own click."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import People
from tests.browser.test_accessible import LOOKS, axe, fits, serious
from tests.integration.rooms import make_room, say
from tests.pair import Pair

__all__ = ["axe"]

pytestmark = pytest.mark.asyncio(loop_scope="session")

OLIVIA = "olivia"


async def edit(pair: Pair, room: str, message: int, content: str) -> None:
    async with pair.rest() as rest:
        path = f"/api/sessions/{room}/messages/{message}"
        assert (await rest.patch(path, json={"content": content})).status_code == 200


async def react(pair: Pair, room: str, message: int, who: str, *, method: str = "PUT") -> None:
    async with pair.rest(who) as rest:
        path = f"/api/sessions/{room}/messages/{message}/reactions/agree"
        assert (await rest.request(method, path, json={})).status_code == 200


async def test_edits_replace_the_text_its_quotes_and_the_line_in_the_list(
    pair: Pair, people: People, name: str
) -> None:
    await make_room(pair, name)
    async with pair.rest() as rest:
        first = await say(rest, name, "the old text", metadata={"kind": "finding"})
        reply = await say(rest, name, "indeed", parent_message_id=first)
        last = await say(rest, name, "the old end")
    person = await people.enter(pair)
    page = await person.open(name)
    element = page.locator(f"#message-{first} > .body")
    await expect(element.locator(".content")).to_have_text("the old text")
    await edit(pair, name, first, "the *new* text")
    await edit(pair, name, last, "the new end")
    for _ in range(2):
        await expect(element.locator(".content")).to_have_text("the new text")
        await expect(element.locator(".edited")).to_be_visible()
        title = await element.locator(".edited").get_attribute("title")
        assert title is not None and title.endswith(" UTC")
        await expect(element.locator(".metadata")).to_have_count(1)
        await expect(page.locator(f"#message-{reply} .quote")).to_contain_text("the *new* text")
        await expect(page.locator(".session", has_text=name)).to_contain_text("the new end")
        await page.reload()
    async with pair.rest() as rest:
        await rest.delete(f"/api/sessions/{name}/messages/{first}")
    await expect(page.locator(f"#message-{first}")).to_contain_text("This message was deleted.")
    await expect(page.locator(f"#message-{reply} .quote")).to_contain_text(f"message #{first}")
    await expect(page.locator(".timeline").get_by_text("text")).to_have_count(0)


async def test_reactions_are_counted_and_a_click_adds_and_removes_ones_own(
    pair: Pair, people: People, name: str
) -> None:
    await make_room(pair, name)
    async with pair.rest() as rest:
        message = await say(rest, name, "shall we?")
    one = await people.enter(pair, pair.token(OLIVIA, kind="person"))
    other = await people.enter(pair, pair.token("rita", kind="person", scopes="read"))
    page, watching = await one.open(name), await other.open(name)
    await react(pair, name, message, "bob")
    await react(pair, name, message, "bob")
    chip = page.locator(f"#message-{message} .reactions .chip")
    await expect(chip).to_have_text("agree1 by bob")
    await expect(chip).to_have_attribute("aria-pressed", "false")
    await chip.click()
    await expect(chip).to_have_attribute("aria-pressed", "true")
    await expect(chip).to_have_attribute("title", "bob, olivia")
    seen = watching.locator(f"#message-{message} .reactions .chip")
    await expect(seen).to_have_text("agree2 by bob, olivia")
    assert await watching.locator(".react, button.chip").count() == 0
    await page.reload()
    await expect(chip).to_have_attribute("aria-pressed", "true")
    await chip.click()
    await expect(chip).to_have_text("agree1 by bob")
    await react(pair, name, message, "bob", method="DELETE")
    await expect(chip).to_have_count(0)
    await expect(seen).to_have_count(0)


async def test_the_menu_of_reactions_works_with_the_keyboard(
    pair: Pair, people: People, name: str
) -> None:
    await make_room(pair, name)
    async with pair.rest() as rest:
        message = await say(rest, name, "shall we?")
    person = await people.enter(pair, pair.token(OLIVIA, kind="person"))
    page = await person.open(name)
    button = page.get_by_label(f"React to message {message}")
    await button.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".react-menu .chip")).to_have_count(6)
    await page.keyboard.press("Escape")
    await expect(page.locator(".react-menu")).to_have_count(0)
    await expect(button).to_be_focused()
    await page.keyboard.press("Enter")
    await page.locator(".react-menu .chip", has_text="done").click()
    await expect(page.locator(f"#message-{message} .reactions")).to_have_text("done1 by olivia")


async def test_a_reaction_that_is_refused_is_told(pair: Pair, people: People, name: str) -> None:
    await make_room(pair, name)
    async with pair.rest() as rest:
        message = await say(rest, name, "shall we?")
        person = await people.enter(pair, pair.token(OLIVIA, kind="person"))
        page = await person.open(name)
        closed = await rest.post(f"/api/sessions/{name}/close", json={})
        assert closed.status_code == 200, closed.text
    await page.get_by_label(f"React to message {message}").click()
    await page.locator(".react-menu .chip", has_text="done").click()
    await expect(page.get_by_role("alert")).to_contain_text("closed")
    assert await page.locator(".reactions").count() == 0


@pytest.mark.parametrize("look", sorted(LOOKS))
async def test_changed_messages_have_no_serious_violation(
    pair: Pair, people: People, axe: str, name: str, look: str
) -> None:
    await make_room(pair, name)
    async with pair.rest() as rest:
        message = await say(rest, name, "the old text")
    await edit(pair, name, message, "the new text for @olivia")
    await react(pair, name, message, "bob")
    await react(pair, name, message, OLIVIA)
    token = pair.token(OLIVIA, kind="person")
    person = await people.enter(pair, token, bypass_csp=True, **LOOKS[look])
    page = await person.open(name)
    await page.get_by_label(f"React to message {message}").click()
    await expect(page.locator(".react-menu")).to_be_visible()
    await expect(page.locator(".mention.own")).to_be_visible()
    assert await serious(page, axe) == []
    await fits(page)
