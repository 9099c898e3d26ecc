"""What the page does when its token, its log or its storage goes; that it says what was read."""

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import People
from tests.browser.people import ids, operators_token, texts
from tests.browser.test_entering import login_link
from tests.browser.test_reading import filled
from tests.commands import partyline
from tests.integration.rooms import say
from tests.pair import Pair
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

BLOCKED = """
Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("denied", "SecurityError"); }
});
"""


async def test_a_token_taken_back_asks_to_sign_in_and_keeps_what_was_typed(
    pair: Pair, people: People, name: str
) -> None:
    await filled(pair, name, 1)
    person = await people.enter(pair, "")
    page = person.page
    await page.goto("/")
    token = pair.token(f"person-{name}", kind="person")
    await page.evaluate("(token) => localStorage.setItem('partyline.token', token)", token)
    await page.reload()
    await person.open(name)
    await page.fill("#composer-text", "half a sentence")
    assert (await partyline(pair, "revoke", "--agent", f"person-{name}"))[0] == 0
    await expect(page.locator(".sign-in")).to_be_visible()
    await expect(page.get_by_role("alert")).to_contain_text("taken back")
    await page.goto(await login_link(pair))  # in the same tab: only the address changes
    await expect(page.locator(".who")).to_contain_text("human")
    await person.open(name)
    await expect(page.locator("#composer-text")).to_have_value("half a sentence")


async def test_a_log_put_back_is_shown_alone(people: People, name: str) -> None:
    async with Pair(LOG_POLL_SECONDS=0.2) as own:
        old = await filled(own, name, 3)
        copy = own.data_dir.parent / "copy.db"
        assert (await partyline(own, "backup", str(copy)))[0] == 0
        await filled(own, f"{name}-later", 1)
        async with own.rest() as rest:
            await say(rest, name, "to be undone")
        person = await people.enter(own)
        page = await person.open(name)
        await until(lambda: shows(page, "to be undone"))
        await expect(page.locator(".session")).to_have_count(2)
        await own.mcp.stop()
        assert (await partyline(own, "restore", str(copy)))[0] == 0
        await own.mcp.start()
        async with own.rest() as rest:
            new = await say(rest, name, "said instead")
        await until(lambda: shows(page, "said instead"))
        assert await ids(page) == [*old, new]
        assert (await texts(page))[-1] == "said instead"
        await expect(page.locator(".session")).to_have_count(1)


async def shows(page: Any, last: str) -> bool:
    return (await texts(page))[-1:] == [last]


async def test_without_storage_the_page_works_and_says_what_is_missing(
    pair: Pair, people: People, name: str
) -> None:
    await filled(pair, name, 1)
    person = await people.enter(pair, "")
    await person.context.add_init_script(BLOCKED)
    page = person.page
    await page.goto(await login_link(pair))
    await expect(page.locator(".banner")).to_contain_text("keeps nothing")
    await page.locator(".session", has=page.get_by_text(name, exact=True)).click()
    await page.fill("#composer-text", "from memory")
    await page.press("#composer-text", "Enter")
    await until(lambda: shows(page, "from memory"))
    await expect(page.locator(".pending-list > *")).to_have_count(0)


async def test_what_was_shown_is_read_as_agents_can_see(
    pair: Pair, people: People, name: str
) -> None:
    async with pair.agent("alice") as agent:
        await agent.call_tool("create_session", {"session_id": name, "purpose": "Seen?"})
        said: Any = await agent.call_tool("add_message", {"session_id": name, "content": "?"})
        where = {"session_id": name, "message_id": said.structured_content["message_id"]}
        person = await people.enter(pair, operators_token(pair))
        await person.open(name)

        async def seen() -> bool:
            got: Any = await agent.call_tool("get_receipts", where)
            return "human" in str(got.structured_content)

        await until(seen, every=0.1)
