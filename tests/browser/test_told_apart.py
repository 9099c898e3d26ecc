"""Telling apart: participants by colour, mentions in a text, and days."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from playwright.async_api import Page, expect

from tests import postgres
from tests.browser.conftest import People
from tests.integration.rooms import make_room, say
from tests.pair import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTICIPANTS = 12
"""As many as there are colours: HUES of ws_node/static/app/model/sender.js."""

NAME_COLOURS = """() => [...document.querySelectorAll(".timeline .meta .sender")]
  .map((name) => getComputedStyle(name).color)"""

CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = getComputedStyle(document.body).backgroundColor;
  return [...document.querySelectorAll(".timeline .message")].flatMap((message) => {
    const name = getComputedStyle(message.querySelector(".sender"));
    const face = getComputedStyle(message.querySelector(".face"));
    return [ratio(name.color, ground), ratio(face.color, face.backgroundColor)];
  });
}"""


@pytest.mark.parametrize("look", ["light", "dark"])
async def test_participants_of_a_session_have_readable_colours_of_their_own(
    pair: Pair, people: People, name: str, look: str
) -> None:
    await make_room(pair, name)
    for number in range(PARTICIPANTS):
        async with pair.rest(f"worker-{number}") as rest:
            await say(rest, name, "here")
    person = await people.enter(pair, color_scheme=look)
    page = await person.open(name)
    await expect(page.locator(".timeline .message")).to_have_count(PARTICIPANTS)
    colours = await page.evaluate(NAME_COLOURS)
    assert len(set(colours)) == PARTICIPANTS
    contrasts = await page.evaluate(CONTRASTS)
    assert len(contrasts) == 2 * PARTICIPANTS
    assert min(contrasts) >= 4.5
    await page.locator(".top h1 a").click()
    await page.locator(".session", has_text=name).click()
    await expect(page.locator(".timeline .message")).to_have_count(PARTICIPANTS)
    assert await page.evaluate(NAME_COLOURS) == colours


async def test_mentions_stand_out_and_those_of_the_reader_most(
    pair: Pair, people: People, name: str
) -> None:
    await make_room(pair, name)
    person = await people.enter(pair, pair.token("olivia", kind="person"))
    page = await person.open(name)
    async with pair.rest() as rest:
        await say(rest, name, "**@Olivia** and @bob, not `@olivia` nor olivia@example.org")
    mentions = page.locator(".timeline .content .mention")
    await expect(mentions).to_have_text(["@Olivia", "@bob"])
    await expect(page.locator(".timeline .content .mention.own")).to_have_text(["@Olivia"])


def move_to(pair: Pair, times: dict[int, str]) -> None:
    """Change the times of messages in the log."""
    with closing(sqlite3.connect(pair.data_dir / "partyline.db", timeout=30)) as log, log:
        for message_id, time in times.items():
            log.execute("UPDATE messages SET timestamp = ? WHERE id = ?", (time, message_id))


async def days(page: Page) -> list[list[str]]:
    """Each separator, without commas, and the text of the message after it."""
    found: list[list[str]] = await page.eval_on_selector_all(
        ".timeline .day",
        "all => all.map((day) => [day.textContent.replace(/,/g, ''),"
        " day.parentElement.querySelector('.content').textContent])",
    )
    return found


@pytest.mark.skipif(postgres.wanted(), reason="the times are changed in SQLite")
async def test_days_are_separated_also_in_threads_and_above_what_was_loaded_first(
    pair: Pair, people: People, name: str
) -> None:
    await make_room(pair, name)
    async with pair.rest() as rest:
        first = await say(rest, name, "first")
        second = await say(rest, name, "second")
        fill = await asyncio.gather(*(say(rest, name, f"fill {n}") for n in range(98)))
        reply = await say(rest, name, "late reply", parent_message_id=first)
        last = await say(rest, name, "last")
    times = dict.fromkeys(fill, "2026-03-02T12:00:00.000000Z")
    times |= {
        first: "2026-03-01T14:30:00.000000Z",  # 23:30 in Tokyo
        second: "2026-03-01T15:30:00.000000Z",  # 00:30 of the next day there
        reply: "2026-03-03T12:00:00.000000Z",
        last: "2026-03-03T12:00:01.000000Z",
    }
    move_to(pair, times)
    person = await people.enter(pair, timezone_id="Asia/Tokyo", locale="en-GB")
    page = await person.open(name)
    await expect(page.locator(".older")).to_have_text("Loading older messages…")
    await page.evaluate("document.querySelector('.scroller').scrollTop = 0")
    await expect(page.locator(".older")).to_have_text("The beginning of this session")
    assert await days(page) == [
        ["Sunday 1 March 2026", "first"],
        ["Tuesday 3 March 2026", "late reply"],
        ["Monday 2 March 2026", "second"],
        ["Tuesday 3 March 2026", "last"],
    ]
