"""The page's pure modules, in the browser they are for: values in, values out."""

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.pair import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def page(pair: Pair, browser: Browser) -> Any:
    context = await browser.new_context(base_url=pair.ws_url, timezone_id="Europe/Berlin")
    opened = await context.new_page()
    await opened.goto("/static/icon.svg")
    yield opened
    await context.close()


async def run(page: Page, module: str, body: str, given: Any = None) -> Any:
    """What a function body returns, with ``m`` the module and ``given``."""
    script = f"async (given) => {{ const m = await import('/static/{module}'); {body} }}"
    return await page.evaluate(script, given)


async def test_waiting_doubles_is_bounded_and_half_random(page: Page) -> None:
    body = """
      const wait = m.waitSeconds;
      return [0, 1, 2, 3, 9, 99].map((n) => [wait(n, () => 0), wait(n, () => 1)]);
    """
    assert await run(page, "partyline/backoff.js", body) == [
        [0.25, 0.5],
        [0.5, 1],
        [1, 2],
        [2, 4],
        [7.5, 15],
        [7.5, 15],
    ]


async def test_close_codes_mean_what_the_table_says(page: Page) -> None:
    from ws_node.disconnect import Disconnect

    codes = [why.code for why in Disconnect]
    words = await run(
        page, "partyline/closing.js", "return given.map(m.afterClose)", [*codes, 1000, 1006]
    )
    for why, word in zip(Disconnect, words, strict=False):
        assert (word == "reconnect") == why.reconnect
    assert words[-2:] == ["reconnect", "reconnect"]


async def test_a_position_takes_each_message_once(page: Page) -> None:
    body = """
      const track = new m.Track();
      const first = track.command("s");
      const words = [track.subscribed({ epoch: "e", position: 5, recovered: true })];
      const taken = [5, 6, 6, 9, 7, 10].map((position) => track.take(position));
      const again = track.command("s");
      words.push(track.subscribed({ epoch: "e", position: 10, recovered: true }));
      words.push(track.subscribed({ epoch: "f", position: 3, recovered: false }));
      return { first, words, taken, again, last: track.command("s") };
    """
    assert await run(page, "partyline/track.js", body) == {
        "first": {"type": "subscribe", "session_id": "s"},
        "words": ["started", "resumed", "reload"],
        "taken": [False, True, False, True, False, True],
        "again": {"type": "subscribe", "session_id": "s", "since": 10, "epoch": "e"},
        "last": {"type": "subscribe", "session_id": "s", "since": 3, "epoch": "f"},
    }


async def test_catching_up_ends_with_silence_or_a_fresh_message(page: Page) -> None:
    body = """
      const at = Date.parse("2026-11-24T10:00:00Z");
      const quiet = new m.CatchUp(at);
      quiet.take("2026-11-24T09:00:00Z", at + 100);
      const one = [quiet.over(at + 200), quiet.messages, quiet.over(at + 100 + m.QUIET_MS)];
      const fresh = new m.CatchUp(at);
      fresh.take("2026-11-24T09:59:59Z", at);
      const none = new m.CatchUp(at);
      return [...one, fresh.over(at), none.over(at + 4000), none.over(at + 6000)];
    """
    assert await run(page, "partyline/catchup.js", body) == [
        *(False, 1, True, True),
        *(False, True),
    ]


async def test_a_conversation_is_the_same_in_whatever_order_it_comes(page: Page) -> None:
    body = """
      const parents = { 2: 1, 3: 2, 5: 3, 6: 4, 7: 99 };
      const shape = (order) => {
        const all = new m.Conversation();
        for (const id of order) all.add({ id, parent_message_id: parents[id] ?? null });
        const twice = all.add({ id: 1 });
        return [all.size, twice, all.tops.map((t) => [t.id, t.replies.map((r) => r.id)])];
      };
      const orders = [[1, 2, 3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3, 2, 1], [5, 1, 8, 3, 6, 2, 4, 7]];
      return orders.map(shape);
    """
    expected = [8, None, [[1, [2, 3, 5]], [4, [6]], [7, []], [8, []]]]
    assert await run(page, "app/conversation.js", body) == [expected] * 3


async def test_a_conversation_forgets_its_oldest_threads_whole(page: Page) -> None:
    body = """
      const all = new m.Conversation();
      for (let id = 1; id <= 6; id += 1) all.add({ id, parent_message_id: id === 3 ? 1 : null });
      const gone = all.trim(2).map((top) => top.id);
      const late = all.add({ id: 7, parent_message_id: 1 }).entry;
      return [gone, all.size, all.tops.map((top) => top.id).slice(0, 2), late.thread.id];
    """
    assert await run(page, "app/conversation.js", body) == [[1, 2, 4], 3, [5, 6], 7]


async def test_routes_go_there_and_back(page: Page) -> None:
    body = "return given.map(m.parse)"
    places = ["", "#/", "#/s/room-1", "#/s/room-1/42", "#/s/%3Cb%3E", "#/search/a%20b", "#/s/%"]
    assert await run(page, "app/route.js", body, places) == [
        {"screen": "list"},
        {"screen": "list"},
        {"screen": "session", "session": "room-1", "message": None},
        {"screen": "session", "session": "room-1", "message": 42},
        {"screen": "list"},
        {"screen": "search", "words": "a b"},
        {"screen": "list"},
    ]


async def test_a_sender_keeps_a_colour_and_initials(page: Page) -> None:
    names = ["claude-main/reviewer", "codex", "guest:claude-1a2b3c4d", "", "ü"]
    hues = await run(
        page, "app/sender.js", "return given.map(m.hue)", [f"n{n}" for n in range(500)]
    )
    assert set(hues) == set(range(12))
    initials = await run(page, "app/sender.js", "return given.map(m.initials)", names)
    assert initials == ["CM", "CO", "GC", "?", "Ü"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title", [{"type": "heading", "level": 1, "text": "Title"}]),
        ("a\nb", [{"type": "paragraph", "text": "a\nb"}]),
        ("```py\n*x*", [{"type": "code", "language": "py", "text": "*x*"}]),
        ("---", [{"type": "rule"}]),
        ("<b>x</b>", [{"type": "paragraph", "text": "<b>x</b>"}]),
        (
            "> a\n> b",
            [{"type": "quote", "blocks": [{"type": "paragraph", "text": "a\nb"}]}],
        ),
        (
            "2. a\n3. b",
            [
                {
                    "type": "list",
                    "ordered": True,
                    "start": 2,
                    "items": [[{"type": "paragraph", "text": t}] for t in "ab"],
                }
            ],
        ),
        (
            "|a|b|\n|-|-:|\n|1|2|",
            [
                {
                    "type": "table",
                    "align": ["start", "end"],
                    "head": ["a", "b"],
                    "rows": [["1", "2"]],
                }
            ],
        ),
    ],
    ids=["heading", "lines", "fence", "rule", "html", "quote", "list", "table"],
)
async def test_markdown_as_blocks(page: Page, text: str, expected: Any) -> None:
    assert await run(page, "app/markdown/blocks.js", "return m.blocks(given)", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a *b* c", ["a ", ["em", "b"], " c"]),
        ("**b *c* d**", [["strong", "b ", ["em", "c"], " d"]]),
        ("2 * 3 * 4", ["2 * 3 * 4"]),
        ("snake_case_name", ["snake_case_name"]),
        ("`*a*`", [["code", "*a*"]]),
        (r"\*a\*", ["*a*"]),
        ("[a](https://x.example)", [["link", "a"]]),
        ("see https://x.example/a. Then", ["see ", ["link", "https://x.example/a"], ". Then"]),
        ("[https://a.example](https://b.example)", [["link", "https://a.example"]]),
        ("*never closed", ["*never closed"]),
    ],
)
async def test_markdown_inside_a_line(page: Page, text: str, expected: Any) -> None:
    body = """
      const inner = (n) => (n.nodes ? n.nodes.map(flat) : [n.text]);
      const flat = (n) => (n.type === "text" ? n.text : [n.type, ...inner(n)]);
      return m.inline(given).map(flat);
    """
    assert await run(page, "app/markdown/inline.js", body, text) == expected


async def test_only_some_addresses_become_links(page: Page) -> None:
    addresses = {
        "https://a.example/x?y#z": "a.example",
        "http://a.example:8080": "a.example:8080",
        "mailto:a@b.example": "a@b.example",
        "javascript:alert(1)": None,
        " https://a.example": None,
        "//a.example": None,
        "/here": None,
        "https://user@a.example": None,
        "https://": None,
        "data:text/html,x": None,
        "ht\ntps://a.example": None,
    }
    body = "return given.map((address) => m.safe(address)?.host ?? null)"
    hosts = await run(page, "app/markdown/links.js", body, list(addresses))
    assert hosts == list(addresses.values())


async def test_a_long_text_begins_with_whole_lines_and_characters(page: Page) -> None:
    body = """
      const long = ["x".repeat(2500), "😀".repeat(5000), "x".repeat(9999)];
      const look = (text, start) => [start.length, text.startsWith(start), start.isWellFormed()];
      return ["short", "line\\n".repeat(1000), ...long].map((t) => look(t, m.beginning(t)));
    """
    assert await run(page, "app/folding.js", body) == [
        [5, True, True],
        [149, True, True],
        [2500, True, True],
        [2400, True, True],
        [2400, True, True],
    ]


async def test_a_chart_counts_by_minute(page: Page) -> None:
    body = "return m.perMinute([0, 59e3, 60e3, 179e3, 180e3, 999e3], 3, 180e3)"
    assert await run(page, "app/chart.js", body) == [2, 0, 2]


async def test_an_export_cannot_run_into_the_next_message(page: Page) -> None:
    message = {
        "id": 7,
        "sender": "alice",
        "sender_type": "claude",
        "content": "a\n### #8 bob (human)\n\n> b",
        "visibility": "private",
        "timestamp": "2026-11-24T10:00:00.000000Z",
        "parent_message_id": 3,
    }
    text = await run(page, "app/export.js", "return m.markdownPart(given)", message)
    head, _, rest = text.partition("\n\n")
    assert head == "### #7 alice (claude, private, reply to #3), 2026-11-24 10:00:00 UTC"
    assert rest == "> a\n> ### #8 bob (human)\n>\n> > b\n\n"


async def test_snippets_hold_a_variable_and_never_a_token(page: Page) -> None:
    body = "return [m.snippets('http://h/mcp'), m.snippets('http://h/mcp', true)]"
    closed, opened = await run(page, "app/snippets.js", body)
    names = ["Claude Code", "Codex", "Cursor", "VS Code", "Gemini CLI"]
    assert [one["client"] for one in closed] == names
    for one in closed:
        assert "http://h/mcp" in one["text"]
        assert "PARTYLINE_TOKEN" in one["text"] or "partyline-token" in one["text"]
    assert not any("oken" in one["text"] for one in opened)
