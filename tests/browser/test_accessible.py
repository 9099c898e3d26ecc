"""axe-core finds no serious violation, in light and dark, wide and on a phone (must hold 6)."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import People
from tests.browser.sample_sessions import make_sample_sessions
from tests.pair import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = "axe-core@4.14.1"
FOLDER = Path(__file__).resolve().parents[2] / "build" / "axe"
SCRIPT = FOLDER / "node_modules" / "axe-core" / "axe.min.js"

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 820}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 820}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
}


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, from npm, kept in build/."""
    if not SCRIPT.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("no npm on this machine to get axe-core with (apt-get install npm)")
        command = [npm, "install", "--no-save", "--ignore-scripts", "--prefix", str(FOLDER), AXE]
        got = subprocess.run(command, capture_output=True, timeout=60)
        if not SCRIPT.exists():
            pytest.skip(f"npm could not get {AXE}: {got.stderr.decode()[-200:]}")
    return SCRIPT.read_text("utf-8")


async def serious(page: Page, axe: str) -> list[str]:
    """What axe-core finds that keeps people out, in one line each."""
    await page.evaluate(axe)
    found: dict[str, Any] = await page.evaluate("axe.run(document)")
    return [
        f"{rule['id']}: {rule['nodes'][0]['html'][:200]} {rule['nodes'][0]['failureSummary'][:300]}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sample_session(pair: Pair) -> str:
    return await make_sample_sessions(pair)


@pytest.mark.parametrize("look", sorted(LOOKS))
async def test_open_session_has_no_serious_violation(
    pair: Pair, people: People, axe: str, sample_session: str, look: str
) -> None:
    person = await people.enter(pair, bypass_csp=True, **LOOKS[look])
    page = await person.open(sample_session)
    await expect(page.locator(".message[data-id]").first).to_be_attached()
    assert await serious(page, axe) == []


@pytest.mark.parametrize("look", sorted(LOOKS))
async def test_list_of_sessions_has_no_serious_violation(
    pair: Pair, people: People, axe: str, sample_session: str, look: str
) -> None:
    person = await people.enter(pair, bypass_csp=True, **LOOKS[look])
    await person.page.goto("/")
    await expect(person.page.locator(".session").first).to_be_visible()
    assert await serious(person.page, axe) == []


@pytest.mark.parametrize("look", sorted(LOOKS))
async def test_sign_in_has_no_serious_violation(
    pair: Pair, people: People, axe: str, look: str
) -> None:
    stale = pair.token("olivia", kind="person")[:-4] + "AAAA"
    for token in ("", stale):
        stranger = await people.enter(pair, token, bypass_csp=True, **LOOKS[look])
        await stranger.page.goto("/")
        await expect(stranger.page.locator(".sign-in")).to_be_visible()
        assert await stranger.page.get_by_role("alert").count() == bool(token)
        assert await serious(stranger.page, axe) == []
        await fits(stranger.page)


@pytest.mark.parametrize("look", sorted(LOOKS))
async def test_empty_list_has_no_serious_violation(
    pair: Pair, people: People, axe: str, name: str, look: str
) -> None:
    nothing = pair.token("rita", kind="person", sessions=[name])
    person = await people.enter(pair, nothing, bypass_csp=True, **LOOKS[look])
    await person.page.goto("/")
    await expect(person.page.get_by_role("heading", name="No session yet")).to_be_visible()
    assert await serious(person.page, axe) == []
    await fits(person.page)


@pytest.mark.parametrize("look", sorted(LOOKS))
async def test_reconnecting_page_has_no_serious_violation(
    pair: Pair, people: People, axe: str, sample_session: str, look: str
) -> None:
    person = await people.enter(pair, bypass_csp=True, **LOOKS[look])
    page = await person.open(sample_session)
    await page.route_web_socket(re.compile("/ws$"), lambda socket: socket.close(code=4001))
    await page.reload()
    await expect(page.locator(".connection")).to_have_attribute("data-state", "reconnecting")
    assert await serious(page, axe) == []
    await fits(page)


@pytest.mark.parametrize("look", sorted(LOOKS))
async def test_search_results_have_no_serious_violation(
    pair: Pair, people: People, axe: str, sample_session: str, look: str
) -> None:
    person = await people.enter(pair, bypass_csp=True, **LOOKS[look])
    for words, found in (("key", True), ("zzqqxx", False)):
        await person.page.goto(f"/#/search/{words}")
        await expect(person.page.locator(".search-view [role=status]")).to_contain_text("ound")
        assert (await person.page.locator(".result mark").count() > 0) == found
        assert await serious(person.page, axe) == []
        await fits(person.page)


async def fits(page: Page) -> None:
    """Nothing is wider than the window."""
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_nothing_is_wider_than_a_phone(
    pair: Pair, people: People, sample_session: str
) -> None:
    person = await people.enter(pair, **LOOKS["phone"])
    page = await person.open(sample_session)
    await fits(page)


async def test_keys_do_what_the_help_says(pair: Pair, people: People, sample_session: str) -> None:
    person = await people.enter(pair)
    page = await person.open(sample_session)
    await page.keyboard.press("k")
    last = await page.evaluate("Number(document.activeElement.dataset.id)")
    await page.keyboard.press("k")
    assert await page.evaluate("Number(document.activeElement.dataset.id)") != last
    await page.keyboard.press("r")
    await expect(page.locator(".replying")).to_be_visible()
    await expect(page.locator("#composer-text")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator(".replying")).to_be_hidden()
    await page.locator(".scroller").focus()
    await page.keyboard.press("?")
    await expect(page.locator("dialog.help")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("/")
    await expect(page.locator(".search-here")).to_be_focused()
