"""``python -m tests.browser.screenshots FOLDER``: the page as it looks, for people to look at.

Writes list, session, session-dark, empty, sign-in, reconnecting, phone and phone-list.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright, expect

from tests.browser.conftest import People, launch
from tests.browser.people import Person
from tests.browser.sample_sessions import make_sample_sessions
from tests.pair import Pair

WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2}


async def main(folder: Path) -> None:
    async def shoot(name: str, page: Page) -> None:
        await page.evaluate("document.fonts.ready")
        await page.screenshot(path=folder / f"{name}.png")

    async with async_playwright() as playwright, Pair() as pair:
        people = People(await launch(playwright))
        wide = await people.enter(pair, **WIDE)
        await wide.page.goto("/")
        await expect(wide.page.get_by_role("tablist")).to_be_visible()
        await shoot("empty", wide.page)
        session = await make_sample_sessions(pair)
        await expect(wide.page.locator(".session .last b")).to_have_count(3)
        await shoot("list", wide.page)
        await in_session(wide, session)
        await shoot("session", wide.page)
        dark = await people.enter(pair, color_scheme="dark", **WIDE)
        await in_session(dark, session)
        await shoot("session-dark", dark.page)
        phone = await people.enter(pair, **PHONE)
        await phone.page.goto("/")
        await expect(phone.page.locator(".session .last b")).to_have_count(3)
        await shoot("phone-list", phone.page)
        await in_session(phone, session)
        await shoot("phone", phone.page)
        stranger = await people.enter(pair, "", **WIDE)
        await stranger.page.goto("/")
        await expect(stranger.page.locator(".sign-in")).to_be_visible()
        await shoot("sign-in", stranger.page)
        pair.ws.kill()
        await expect(wide.page.locator(".state-text")).to_contain_text("reconnecting in")
        await shoot("reconnecting", wide.page)


async def in_session(person: Person, session: str) -> None:
    page = await person.open(session)
    await expect(page.locator(".message[data-id]").last).to_be_visible()
    await expect(page.locator(".sessions .session .last b")).to_have_count(3)
    await page.locator(".message[data-id]", has_text="Rotation keeps").hover()


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    asyncio.run(main(Path(sys.argv[1])))
