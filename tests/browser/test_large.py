"""Large sessions: ten thousand messages, a thousand replies deep, exports of more than a page."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import People
from tests.browser.people import ids
from tests.browser.seeding import seed
from tests.browser.test_hostile import unharmed
from tests.browser.test_reading import at_least
from tests.integration.rooms import say
from tests.pair import Pair
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

Seeded = dict[str, list[int]]

HUGE, LONGER, DEEP = "huge", "longer-than-a-page", "deep"


@pytest.fixture(scope="module")
def seeded() -> Seeded:
    """The ids of each session; `large` fills it in."""
    return {}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def large(seeded: Seeded) -> AsyncIterator[Pair]:
    """A pair that has much to read from its start."""
    starting = Pair()
    seeded |= await seed(starting, rows={HUGE: 10_000, LONGER: 1_100}, chain=(DEEP, 1_001))
    async with starting as running:
        yield running


SMOOTH = """
async () => {
  const scroller = document.querySelector(".scroller");
  const frames = [];
  let last = performance.now();
  for (let n = 0; n < 60; n += 1) {
    scroller.scrollTop -= 400;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - last);
    last = now;
  }
  return frames.sort((a, b) => a - b);
}
"""


async def test_ten_thousand_messages_are_all_there(
    large: Pair, seeded: Seeded, people: People
) -> None:
    made = seeded[HUGE]
    person = await people.enter(large)
    page = await person.open(HUGE)
    await page.evaluate(f"location.hash = '#/s/{HUGE}/{made[0]}'")
    await until(lambda: at_least(page, 10_000), within=90, every=0.5)
    assert await ids(page) == made
    await expect(page.locator(f"#message-{made[0]}")).to_be_in_viewport()
    await page.evaluate("document.querySelector('.pill').click()")
    await expect(page.get_by_text("number 9999", exact=True)).to_be_in_viewport()
    frames = await page.evaluate(SMOOTH)
    print(f"scrolling among 10,000: median {frames[30]:.0f} ms, worst {frames[-1]:.0f} ms")
    async with large.rest() as rest:
        added = [await say(rest, HUGE, "one more")]
        await until(lambda: at_least(page, 10_001))
        await expect(page.locator(".pill")).to_have_text("1 new")
        await page.evaluate("document.querySelector('.pill').click()")
        await expect(page.locator(".pill")).to_be_hidden()
        added.append(await say(rest, HUGE, "and one more"))
    await until(lambda: last_is(page, added[-1]))
    shown = await ids(page)
    assert len(shown) < 4_000  # the oldest are let go at the bottom, and read again further up
    assert shown == [*made, *added][-len(shown) :]
    await page.evaluate("document.querySelector('.scroller').scrollTop = 0")
    await until(lambda: at_least(page, len(shown) + 1))
    again = await ids(page)
    assert again == [*made, *added][-len(again) :]


async def last_is(page: Page, message_id: int) -> bool:
    return (await ids(page))[-1] == message_id


async def test_a_thousand_nested_replies_are_all_shown(
    large: Pair, seeded: Seeded, people: People
) -> None:
    made = seeded[DEEP]
    person = await people.enter(large)
    page = await person.open(DEEP)
    await until(lambda: begins(page), within=90)
    assert await ids(page) == made
    replies = f"#message-{made[0]} > .replies > .message"
    assert await page.locator(replies).count() == 1000
    await unharmed(page)


async def begins(page: Page) -> bool:
    await page.evaluate("document.querySelector('.scroller').scrollTop = 0")
    return await page.locator(".older").text_content() == "The beginning of this session"


@pytest.mark.parametrize("label", ["Export as Markdown", "Export as JSON Lines"])
async def test_an_export_holds_the_whole_session(
    large: Pair, seeded: Seeded, people: People, tmp_path: Path, label: str
) -> None:
    made = seeded[LONGER]
    person = await people.enter(large)
    page = await person.open(LONGER)
    await page.locator(".session-head summary").click()
    async with page.expect_download() as coming:
        await page.get_by_role("button", name=label).click()
    download = await coming.value
    target = tmp_path / download.suggested_filename
    await download.save_as(target)
    text = target.read_text("utf-8")
    if label.endswith("Lines"):
        assert target.name == f"{LONGER}.jsonl"
        assert [json.loads(line)["id"] for line in text.splitlines()] == made
    else:
        assert target.name == f"{LONGER}.md"
        assert text.startswith(f"# {LONGER}\n\n### #{made[0]} alice (claude), ")
        assert [n for n in made if f"### #{n} alice" in text] == made
