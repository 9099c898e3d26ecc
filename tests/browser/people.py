"""A person at the page: a browser context, what they see, and everything that went wrong in it."""

import contextlib
import json
import time
from typing import Any

from playwright.async_api import BrowserContext, ConsoleMessage, Page, expect

from proto import keyfile
from proto.tokens import new_token_id, sign_human
from tests.pair import Pair

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""

MILLISECONDS = 30_000
"""How long the page may take for anything; Playwright's own 5 s are few for a busy machine."""

expect.set_options(timeout=MILLISECONDS)

LOST = ("net::ERR_", "WebSocket connection to", "Failed to load resource")
"""What a browser says by itself about a server that is away or refuses: not the page's error."""


def operators_token(pair: Pair) -> str:
    """What a login link would give; `test_entering` goes the whole way."""
    now = int(time.time())
    key = keyfile.signing_key(keyfile.open_data_dir(pair.data_dir))
    return sign_human(key, times=(now, now + 3600), token_id=new_token_id())


class Person:
    """Somebody with a browser.

    Attributes:
        page: of the first tab.
        problems: errors of the console and exceptions nobody caught, of every tab.
    """

    page: Page

    def __init__(self, context: BrowserContext, pair: Pair, token: str) -> None:
        self.context = context
        self.pair = pair
        self.token = token
        self.problems: list[str] = []

    async def prepare(self) -> None:
        """Put the token where the page keeps it, and open a tab."""
        await self.context.add_init_script(WATCH)
        if self.token:
            await self.context.add_init_script(
                f'localStorage.setItem("partyline.token", {json.dumps(self.token)})'
            )
        self.page = await self.tab()

    async def tab(self) -> Page:
        """One more tab."""
        page = await self.context.new_page()
        page.set_default_timeout(MILLISECONDS)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("console", self._console)
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(LOST):
            self.problems.append(f"console: {message.text}")

    async def violations(self) -> list[str]:
        """What the content security policy has refused, in any tab."""
        found: list[str] = []
        for page in self.context.pages:
            with contextlib.suppress(Exception):  # a tab that is still blank has no such list
                found += await page.evaluate("window.violations ?? []")
        return found

    async def open(self, session_id: str, page: Page | None = None) -> Page:
        """Open a session and wait until it is live."""
        page = page or self.page
        await page.goto(f"/#/s/{session_id}")
        await page.wait_for_selector('[data-state="live"]')
        await expect(page.locator(".older")).not_to_have_text("Loading…")
        return page


async def ids(page: Page) -> list[int]:
    """The ids of the messages on the page, in its order."""
    found: list[Any] = await page.eval_on_selector_all(
        ".timeline .message[data-id]", "all => all.map(one => Number(one.dataset.id))"
    )
    return [int(one) for one in found]


async def texts(page: Page) -> list[str]:
    """The texts of the messages on the page, in its order."""
    found: list[str] = await page.eval_on_selector_all(
        ".timeline .message[data-id] > .body > .content", "all => all.map(one => one.textContent)"
    )
    return found
