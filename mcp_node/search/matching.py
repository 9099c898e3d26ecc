"""Finds terms in a text, and makes the snippet to show. Pure."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from mcp_node.search.words import LONGEST, composed, spans

SNIPPET_CHARS: Final = 200
BEFORE: Final = 60
"""How many of those may precede the first match."""

Pattern = Sequence[frozenset[str]]
"""What a term matches: words that follow each other, and for each of them the accepted words."""

_SPACE: Final = re.compile(r"\s+")


class Match(NamedTuple):
    """Where a text matches.

    Attributes:
        text: the text in which positions count (`mcp_node.search.words.composed`).
        places: start and end of every match.
        first: start of the first match of the term that comes first.
        used: the words that matched.
    """

    text: str
    places: list[tuple[int, int]]
    first: int
    used: frozenset[str]


def match(content: str, terms: Sequence[Pattern]) -> Match | None:
    """Match all terms in a text; None if one of them does not occur.

    Args:
        content: the text. The words of a term must follow each other in it, whatever separates
            them.
        terms: at least one, each of at least one word.
    """
    if content.isascii() and not _may_hold(content.lower(), terms):
        return None
    text = composed(content)
    found = spans(text)
    places: list[tuple[int, int]] = []
    starts: list[int] = []
    used: set[str] = set()
    for term in terms:
        length = len(term)
        hits = [
            at
            for at in range(len(found) - length + 1)
            if all(found[at + step].text in term[step] for step in range(length))
        ]
        if not hits:
            return None
        starts.append(found[hits[0]].start)
        for at in hits:
            places.append((found[at].start, found[at + length - 1].end))
            used.update(word.text for word in found[at : at + length])
    return Match(text, sorted(set(places)), min(starts), frozenset(used))


def _may_hold(lowered: str, terms: Sequence[Pattern]) -> bool:
    """Whether an ASCII text contains the letters of every word: a fast check most texts fail."""
    return all(any(word in lowered for word in words) for term in terms for words in term)


def snippet(found: Match) -> str:
    """The part of a text around its first match, on one line, with each match between « and »."""
    text, at = found.text, _beginning(found)
    shown = "…" if at else ""
    for start, end in found.places:
        if start < at:
            continue
        before = _on_one_line(text[at:start][:SNIPPET_CHARS])
        word = _on_one_line(text[start : min(end, start + LONGEST)])
        if end - start > LONGEST:
            word += "…"
        if len(shown) + len(before) + len(word) + 2 >= SNIPPET_CHARS:
            break
        shown += f"{before}«{word}»"
        at = end
    rest = _on_one_line(text[at : at + SNIPPET_CHARS])
    room = SNIPPET_CHARS - 1 - len(shown)
    return shown + (rest if len(rest) <= room else f"{rest[:room]}…")


def _beginning(found: Match) -> int:
    """The start of a snippet: some words before the first match, or the start of the text."""
    begin = found.first - BEFORE
    if begin <= 0:
        return 0
    space = found.text.find(" ", begin, found.first)
    return begin if space < 0 else space + 1


def _on_one_line(text: str) -> str:
    return _SPACE.sub(" ", text)
