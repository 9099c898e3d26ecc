"""The prose of a Markdown text: what is left of it without its code.

Code is what CommonMark 0.31 says: code spans, fenced code blocks, and indented code blocks, also
inside block quotes and list items. Two differences do not matter here: HTML blocks and link
definitions count as paragraphs, and containers nest `MAX_DEPTH` deep at most. A third is on
purpose: U+2028 and U+2029 end lines too, as they do on the live page.

The time is linear in the text: every line is read once, and so is every run of backticks. As it
is spent for every message that is stored, only the first `MAX_LINES` lines are told apart.
"""

import re
from bisect import bisect_right
from typing import Final

MAX_DEPTH: Final = 12
"""Block quotes and list items inside each other; what nests deeper is text."""

MAX_LINES: Final = 5_000
"""What follows them is taken for one paragraph."""

CODE: Final = "`"
"""Stands in the prose for a code span, so that what was apart stays apart."""

_LINE_END: Final = re.compile(r"\r\n|[\n\r\u2028\u2029]")
_SPACES: Final = re.compile(r" *")
_FENCE: Final = re.compile(r"`{3,}(?=[^`]*\Z)|~{3,}")
_HEADING: Final = re.compile(r"#{1,6}(?: |\Z)")
_RULE: Final = re.compile(r"([-*_])(?: *\1){2,} *\Z")
_UNDERLINE: Final = re.compile(r"(?:=+|-+) *\Z")
_MARKER: Final = re.compile(r"([-+*]|(\d{1,9})[.)])(?:( +)|\Z)", re.ASCII)
_TICKS: Final = re.compile(r"`+")

_QUOTE: Final = 0
"""A block quote among the open containers; a list item is there as the width of its margin."""


def prose(text: str) -> str:
    """A Markdown text without its code blocks, and with `CODE` in place of each code span."""
    if not ("`" in text or "~~~" in text or "    " in text or "\t" in text):
        return text
    reader = _Reader()
    *lines, last = _LINE_END.split(text, MAX_LINES)
    for line in lines if len(lines) == MAX_LINES else (*lines, last):
        reader.read(line.expandtabs(4) if "\t" in line else line)
    reader.end_paragraph()
    if len(lines) == MAX_LINES:
        reader.prose.append(_without_spans(last))
    return "\n".join(reader.prose)


class _Reader:
    """Reads lines, and keeps which blocks are open.

    Attributes:
        prose: the paragraphs and headings that are complete, without code.
    """

    def __init__(self) -> None:
        self.prose: list[str] = []
        self._paragraph: list[str] = []
        self._containers: list[int] = []
        self._fence = ""

    def read(self, line: str) -> None:
        """Take the next line, without its end and without tabs."""
        if not line.strip(" "):
            self._blank()
            return
        if self._paragraph and not self._containers and line[0].isalpha():
            self._paragraph.append(line)  # most lines: nothing else begins with a letter
            return
        at, continued = self._continued(line)
        if self._fence:
            if continued == len(self._containers):
                self._in_fence(line[at:])
                return
            self._fence = ""
        at, begun = self._begun(line, at, continued)
        start = _spaces(line, at)
        indented, text = start - at >= 4, line[start:]
        lazy = bool(self._paragraph) and not begun  # a paragraph goes on, whatever ended around it
        if not text:
            self._open(continued, begun)
        elif not indented and self._is_block(text, lazy and continued == len(self._containers)):
            self._open(continued, begun)
            self._block(text)
        elif lazy:
            self._paragraph.append(text)
        else:
            self._open(continued, begun)
            if not indented:
                self._paragraph.append(text)

    def end_paragraph(self) -> None:
        """The open paragraph, if there is one, is complete."""
        if self._paragraph:
            self.prose.append(_without_spans("\n".join(self._paragraph)))
            self._paragraph = []

    def _blank(self) -> None:
        """A blank line ends a paragraph, and a block quote with all that is in it."""
        self.end_paragraph()
        if _QUOTE in self._containers:
            del self._containers[self._containers.index(_QUOTE) :]
            self._fence = ""

    def _continued(self, line: str) -> tuple[int, int]:
        """Where a line goes on behind the open containers it continues, and how many those are."""
        at = 0
        for number, margin in enumerate(self._containers):
            start = _spaces(line, at)
            if margin != _QUOTE and start - at >= margin:
                at += margin
            elif margin == _QUOTE and start - at < 4 and line.startswith(">", start):
                at = start + 1 + line.startswith(" ", start + 1)
            else:
                return at, number
        return at, len(self._containers)

    def _begun(self, line: str, at: int, continued: int) -> tuple[int, list[int]]:
        """Where a line goes on behind the containers that begin in it, and those."""
        begun: list[int] = []
        while continued + len(begun) < MAX_DEPTH:
            start = _spaces(line, at)
            if start - at >= 4:
                break
            if line.startswith(">", start):
                begun.append(_QUOTE)
                at = start + 1 + line.startswith(" ", start + 1)
                continue
            marker = _MARKER.match(line, start)
            if marker is None or _RULE.match(line, start):
                break
            inside = bool(self._paragraph) and not begun and continued == len(self._containers)
            if inside and (marker[3] is None or marker[2] not in (None, "1")):
                break  # such an item does not interrupt a paragraph
            width = len(marker[3] or "")
            end = marker.end(1) + (width if 1 <= width <= 4 else 1)
            begun.append(end - at)
            at = min(end, len(line))
        return at, begun

    def _open(self, continued: int, begun: list[int]) -> None:
        """End the paragraph and the containers that were not continued, then begin others."""
        self.end_paragraph()
        self._containers[continued:] = begun

    def _in_fence(self, rest: str) -> None:
        text = rest.strip(" ")
        closes = len(text) >= len(self._fence) and not text.strip(self._fence[0])
        if closes and _spaces(rest, 0) < 4:
            self._fence = ""

    def _is_block(self, text: str, in_paragraph: bool) -> bool:
        """Whether a line is no text of a paragraph."""
        return bool(
            _FENCE.match(text)
            or _HEADING.match(text)
            or _RULE.match(text)
            or (in_paragraph and _UNDERLINE.match(text))
        )

    def _block(self, text: str) -> None:
        fence = _FENCE.match(text)
        if fence is not None:
            self._fence = fence[0]
        elif _HEADING.match(text):
            self.prose.append(_without_spans(text))


def _spaces(line: str, at: int) -> int:
    """Where the spaces end that begin there."""
    found = _SPACES.match(line, at)
    assert found is not None
    return found.end()


def _without_spans(text: str) -> str:
    """A paragraph with `CODE` for every code span: between two runs of as many backticks."""
    runs = [match.span() for match in _TICKS.finditer(text)]
    if not runs:
        return text
    by_length: dict[int, list[int]] = {}
    for number, (start, end) in enumerate(runs):
        by_length.setdefault(end - start, []).append(number)
    parts: list[str] = []
    at = number = 0
    while number < len(runs):
        start, end = runs[number]
        before = text[at:start]
        escaped = (len(before) - len(before.rstrip("\\"))) % 2  # the first of them is no backtick
        same = by_length.get(end - start - escaped, [])
        later = bisect_right(same, number)
        if later < len(same):
            number = same[later]
            parts += (before, CODE)
        else:
            parts.append(text[at:end])
        at = runs[number][1]
        number += 1
    return "".join((*parts, text[at:]))
