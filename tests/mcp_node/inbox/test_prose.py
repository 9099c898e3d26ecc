"""Prose: what of a Markdown text is code, as CommonMark has it, in linear time."""

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mcp_node.inbox.mentions import mentioned
from mcp_node.inbox.prose import MAX_LINES, prose

MARKDOWN = MarkdownIt("commonmark", {"html": False, "maxNesting": 1000})


def called(tokens: list[Token]) -> tuple[str, ...]:
    """The names in what a CommonMark parser takes for text."""
    names: list[str] = []
    for token in tokens:
        if token.type == "inline":
            names += called(token.children or [])
        elif token.type == "text":
            found = re.findall(r"@([a-z][\w.-]*)", token.content)
            names += [name.rstrip("._-") for name in found]
    return tuple(names)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("`@a` @b", ("b",)),
        ("``@a ` @b`` @c", ("c",)),
        ("``` @a ``` @b", ("b",)),
        ("`@a @b", ("a", "b")),
        ("`@a`` @b`", ()),
        ("\\`@a` @b", ("a", "b")),
        ("`@a\\` @b`", ("b",)),
        ("`x\n@a`\n@b", ("b",)),
        ("`x\n\n@a`", ("a",)),
        ("```\n@a\n```\n@b", ("b",)),
        ("```\u2028@a\u2029```\r@b", ("b",)),
        ("```py @x\n@a\n````\n@b", ("b",)),
        ("````\n```\n@a\n````\n@b", ("b",)),
        ("~~~\n@a\n```\n@b\n~~~\n@c", ("c",)),
        ("~~~\n@a", ()),
        ("``` x`y\n@a", ("a",)),
        ("text\n```\r\n@a\r\n```\r\n@b", ("b",)),
        ("    @a\n@b", ("b",)),
        ("\t@a", ()),
        ("text\n    @a", ("a",)),
        ("text\n\n    @a", ()),
        ("# head\n    @a", ()),
        ("- one\n\n    @a", ("a",)),
        ("- one\n\n      @a", ()),
        ("-     @a", ()),
        ("1. ```\n   @a\n   ```\n   @b", ("b",)),
        ("- ```\n  @a\n- @b", ("b",)),
        ("> ```\n> @a\n@b", ("b",)),
        ("> `x\n@a` @b", ("b",)),
        ("> > ~~~\n> > @a\n> > ~~~\n> @b", ("b",)),
        ("`one` mail`@a`@b", ("b",)),
    ],
)
def test_what_is_code_calls_nobody(text: str, names: tuple[str, ...]) -> None:
    assert mentioned(text) == names
    assert called(MARKDOWN.parse(text)) == names


TICKS = ("`", "``", "```", "~~~", "~~~~", "\\")
SPACES = (" ", "  ", "    ", "\n", "\n", "\n", "\n\n")
BLOCKS = ("> ", ">", "- ", "* ", "1. ", "2) ", "10. ", "#", "# ", "***", "---", "===")
PIECES = st.sampled_from((*TICKS, *SPACES, *BLOCKS, "@", "@", "@", "x"))


@given(st.lists(PIECES, max_size=30))
@example(["> ", "\n", "    ", "@"])
def test_mentions_agree_with_a_commonmark_parser(pieces: list[str]) -> None:
    text = "".join(
        f" @n{number} " if piece == "@" else piece for number, piece in enumerate(pieces)
    )
    assert mentioned(text) == called(MARKDOWN.parse(text))


@given(st.text(st.sampled_from("`~>-*1. \t\n\\@a#="), max_size=200))
def test_any_text_is_taken(text: str) -> None:
    assert len(prose(text)) <= 4 * len(text)


RUNS = "".join("`" * run + " " for run in range(400))
DEEP = "- " * 12 + "\n" * 9_000
SHORT = ("-\n", "1. a\n", "> x`\n", "x`\n", "```\n", "- x  \n", "# `\n", "\n", "\r")
LONG = ("`a", "\\`", "`", "- ", "> ", "\t", "_ ", RUNS, DEEP)


@pytest.mark.parametrize("piece", [*SHORT, *LONG])
def test_the_time_is_linear_whatever_the_text(piece: str) -> None:
    def took(size: int) -> float:
        text = "@ `\n" + (piece * (size // len(piece) + 1))[:size]

        def once() -> float:
            begin = time.process_time()
            prose(text)
            return time.process_time() - begin

        return min(once() for _ in range(3))

    took(1000)
    assert took(100_000) < 100 * max(took(6_250), 0.002)  # a square would be 256 times as long


def test_what_follows_very_many_lines_is_one_paragraph() -> None:
    many = "```\n```\n" * (MAX_LINES // 2)
    assert mentioned(f"{many}```\n@a\n```") == ()
    assert mentioned(f"{many}~~~\n@a\n~~~") == ("a",)
