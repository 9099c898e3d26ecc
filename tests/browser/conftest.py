"""A real browser for the page: Debian's chromium, driven by Playwright, against the real pair.

Playwright brings no browser here: the system's is used. Without one these tests are skipped.
The one without a window system, if installed, takes a quarter of the processor's time.
"""

import itertools
import os
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright

from tests.browser.people import Person, operators_token
from tests.pair import Pair
from tests.waiting import until

COMMANDS = ("chromium-headless-shell", "chromium", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, COMMANDS)), None)

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        missing = pytest.mark.skip(
            reason="no chromium on this machine (apt-get install chromium-headless-shell)"
        )
        for item in items:
            if "/tests/browser/" in str(item.path):
                item.add_marker(missing)


async def launch(playwright: Playwright) -> Browser:
    """Start the system's chromium."""
    # root, as in most containers, has no user namespace for the sandbox
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    return await playwright.chromium.launch(executable_path=CHROMIUM, args=root)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all; each person is a context of their own in it."""
    async with async_playwright() as playwright:
        running = await launch(playwright)
        yield running
        await running.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def pair() -> AsyncIterator[Pair]:
    """Both nodes, with tokens; tests leave them running."""
    async with Pair() as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def _killable() -> AsyncIterator[Pair]:
    async with Pair(LOG_POLL_SECONDS=0.2) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def killable(_killable: Pair) -> AsyncIterator[Pair]:
    """Both nodes, ready, for tests that kill them; the next test gets them mended."""
    for node in (_killable.mcp, _killable.ws):
        if node.process is None or node.process.poll() is not None:
            node.spawn()
        await node.answers()
    await until(_killable.joined)
    yield _killable


@pytest.fixture
def name() -> str:
    """A session id nobody else uses."""
    return f"room-{next(_numbers):03}"  # none is the beginning of another


@pytest_asyncio.fixture(loop_scope="session")
async def people(browser: Browser) -> AsyncIterator["People"]:
    """Whoever a test lets in; at its end each must have met no error."""
    everybody = People(browser)
    yield everybody
    for person in everybody.all:
        problems = [*person.problems, *await person.violations()]
        await person.context.close()
        assert problems == []


class People:
    """Lets people in, each with a browser context of their own."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.all: list[Person] = []

    async def enter(self, pair: Pair, token: str | None = None, **options: object) -> Person:
        """Somebody who holds that token (by default, the operator's)."""
        if token is None:
            token = operators_token(pair)
        context = await self.browser.new_context(base_url=pair.ws_url, **options)  # type: ignore[arg-type]
        person = Person(context, pair, token)
        await person.prepare()
        self.all.append(person)
        return person
