"""Messages that try to be more than text are text, and break nothing (must hold 3)."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import People
from tests.browser.people import ids
from tests.pair import Pair
from tests.waiting import START_SECONDS, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = "window.hacked = true"
MARKUP = [
    f"<script>{SCRIPT}</script>",
    f'<img src=x onerror="{SCRIPT}">',
    f"<svg/onload={SCRIPT}>",
    f'<iframe srcdoc="<script>parent.{SCRIPT}</script>"></iframe>',
    f'<a href="javascript:{SCRIPT}">click</a>',
    '<style>body { display: none }</style><div style="position:fixed;inset:0">',
    '</li></ol><h1 id="app">gone</h1>',
    "<form action=https://example.com><input name=token></form>",
    "&lt;b&gt; &#60;script&#62; &amp;amp;",
]
LINKS = [
    f"[click](javascript:{SCRIPT})",
    f"[click](JaVaScRiPt:{SCRIPT})",
    f"[click](data:text/html,<script>{SCRIPT}</script>)",
    "[click](vbscript:x) [click](file:///etc/passwd)",
    "[click](//example.com/x) [click](/api/sessions)",
    f"![image](javascript:{SCRIPT}) ![image](data:image/svg+xml,<svg/onload={SCRIPT}>)",
    "[https://bank.example](https://evil.example/login)",
    "[a](https://user:password@evil.example)",
    "https://\u0430\u0440\u0440\u04cf\u0435.com/ and https://example.com\\@evil.example",
]
MARKDOWN = [
    "*" * 5000,
    "**" * 3000 + "a",
    "*a " * 5000,
    "_a_" * 3000 + "*b" * 3000,
    "`" * 5000 + "a" + "`" * 4999,
    "[" * 5000 + "]" * 5000,
    "[a](" * 3000,
    "![" * 4000,
    "> " * 3000 + "deep",
    "\n".join("  " * n + "- deep" for n in range(300)),
    "```js\nnever closed " + "x" * 100,
    "| a | b |\n|---|---|\n" + "| c | d |\n" * 1500,
    "|" * 3000 + "\n" + "|-" * 3000,
    "# " * 2000,
    "\\" * 5000,
    "~~" * 3000 + "<b>" * 1000,
    "- " * 3000,
    "1. " * 3000,
    "http://" * 3000,
    "\r\n\r\r\n" * 500 + "end",
]
LETTERS = [
    "right \u202eto left\u202c and \u2066isolated\u2069 and \u200fmarks",
    "zero\u200bwidth\u200c\u200d\ufeff and tags \U000e0041\U000e0042\U000e007f",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👍🏽 🇩🇪 ☑️",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞",
    "مرحبا بالعالم, שלום עולם, 你好世界, こんにちは",
    "\u202e" * 3000 + "end",
    "a\u0301" * 2000,
    "\x01\x02\x1b[31m bell \x07 delete \x7f \x85",
]
LONG = [
    "x" * 100_000,
    "word " * 19_999,
    "line\n" * 20_000,
    "😀" * 100_000,
    "*a* `b` [c](https://d.example) " * 3000,
    "<b>" * 33_000,
]

FOREIGN = """
() => {
  const place = document.querySelector(".timeline");
  const all = (what) => [...place.querySelectorAll(what)];
  const loading = "script, img, iframe, style, object, embed, form, input, base, link, video";
  const found = [
    ...all(`${loading}, meta, audio, [style]`),
    ...all("a").filter((a) => !/^(https?:|mailto:)/.test(a.href)),
    ...all('a[target="_blank"]').filter((a) => a.rel !== "noopener noreferrer"),
    ...all("a a"),
  ];
  return { hacked: window.hacked ?? false, found: found.map((e) => e.outerHTML.slice(0, 200)) };
}
"""


async def said(pair: Pair, room: str, contents: list[str]) -> list[int]:
    made = []
    async with pair.agent("mallory") as agent:
        await agent.call_tool("create_session", {"session_id": room, "purpose": "<b>bad</b>"})
        for content in contents:
            message = {"session_id": room, "content": content, "metadata": {"<b>": content[:300]}}
            answer: Any = await agent.call_tool("add_message", message)
            made.append(answer.structured_content["message_id"])
    return made


async def unharmed(page: Page) -> None:
    assert await page.evaluate(FOREIGN) == {"hacked": False, "found": []}
    await expect(page.locator(".connection")).to_have_attribute("data-state", "live")


async def unfold_all(page: Page) -> None:
    """Show every long message whole, and open every tree."""
    await page.eval_on_selector_all(".unfold", "all => all.forEach((one) => one.click())")
    await page.eval_on_selector_all("details.metadata", "all => all.forEach((d) => d.open = true)")
    await page.eval_on_selector_all(".messages a[target]", "all => all.map((a) => a.href)")


@pytest.mark.parametrize("kind", ["markup", "links", "markdown", "letters", "long"])
async def test_hostile_messages_are_shown_as_text(
    pair: Pair, people: People, name: str, kind: str
) -> None:
    contents = {
        "markup": MARKUP,
        "links": LINKS,
        "markdown": MARKDOWN,
        "letters": LETTERS,
        "long": LONG,
    }[kind]
    person = await people.enter(pair)
    page = await person.open(name)
    live = await said(pair, name, contents)
    await until(lambda: same(page, live), within=START_SECONDS)
    await unfold_all(page)
    await unharmed(page)
    await page.reload()  # the same from history; what long ones hold has been shown above
    await until(lambda: same(page, live), within=START_SECONDS)
    if kind != "long":
        await unfold_all(page)
    await unharmed(page)


async def same(page: Page, expected: list[int]) -> bool:
    return await ids(page) == expected


async def content(page: Page, message_id: int) -> str:
    return (await page.text_content(f"#message-{message_id} > .body > .content")) or ""


async def test_markup_is_readable_as_it_was_written(pair: Pair, people: People, name: str) -> None:
    person = await people.enter(pair)
    page = await person.open(name)
    made = await said(pair, name, MARKUP)
    await until(lambda: same(page, made))
    for message_id, written in zip(made, MARKUP, strict=True):
        assert await content(page, message_id) == written


async def test_links_go_where_they_say(pair: Pair, people: People, name: str) -> None:
    person = await people.enter(pair)
    page = await person.open(name)
    made = await said(pair, name, LINKS)
    await until(lambda: same(page, made))
    links = await page.eval_on_selector_all(
        ".timeline .content a", "all => all.map((a) => [a.href, a.nextSibling?.textContent ?? ''])"
    )
    assert links == [
        ["https://evil.example/login", " (evil.example)"],
        ["https://xn--80ak6aa92e.com/", " (xn--80ak6aa92e.com)"],
        ["https://example.com/@evil.example", " (example.com)"],
    ]


async def test_hidden_characters_are_shown(pair: Pair, people: People, name: str) -> None:
    person = await people.enter(pair)
    page = await person.open(name)
    made = await said(pair, name, LETTERS[:3])
    await until(lambda: same(page, made))
    marks = await page.eval_on_selector_all(
        ".content .hidden-characters", "all => all.map((one) => one.textContent)"
    )
    assert marks[:3] == ["U+202E", "U+202C", "U+2066"]
    for message_id, count in zip(made, (10, 14, 0), strict=True):  # text and metadata
        words = page.locator(f"#message-{message_id} > .body > .meta > .hidden-count")
        await expect(words).to_have_count(1 if count else 0)
        if count:
            await expect(words).to_be_visible()
            await expect(words).to_have_text(f"{count} hidden characters")
    assert "U+E0041 U+E0042 U+E007F" in marks
    text = await page.evaluate("document.querySelector('.timeline').textContent")
    assert "\u202e" not in text
    assert "\U000e0041" not in text
    assert await content(page, made[2]) == LETTERS[2]  # what belongs to emoji stays with them


async def test_external_events_are_marked_and_are_text(
    pair: Pair, people: People, name: str
) -> None:
    person = await people.enter(pair)
    page = await person.open(name)
    for body in (
        {"type": "new_message", "data": {"sender": MARKUP[0], "content": MARKUP[1]}},
        {"type": "build", "data": {"<script>": MARKUP[0], "deep": {"list": [1, None, True]}}},
    ):
        answer = await page.request.post(
            f"{pair.ws_url}/broadcast/{name}", data=body, headers={"Origin": pair.ws_url}
        )
        assert answer.ok
    await expect(page.locator(".message.external")).to_have_count(2)
    await expect(page.locator(".external .badge").first).to_have_text("external, unverified")
    assert MARKUP[1] in (await page.locator(".external").first.text_content() or "")
    assert await ids(page) == []
    await unharmed(page)
