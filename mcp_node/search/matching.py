"""Where a text holds what is looked for, and the piece of it to show: pure."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from mcp_node.search.words import LONGEST, composed, spans

SNIPPET_CHARS: Final = 200
BEFORE: Final = 60
"""Of those, before the match."""

Sought = Sequence[frozenset[str]]
"""A term: for each of its words those that will do."""

_SPACE: Final = re.compile(r"\s+")


class Match(NamedTuple):
    """Where a text holds every term, and the words by which it does."""

    text: str
    places: list[tuple[int, int]]
    first: int
    used: frozenset[str]


def match(content: str, terms: Sequence[Sought]) -> Match | None:
    """How a text holds every term; None if it does not.

    Args:
        content: the text; a term's words must follow each other in it, with whatever separates.
        terms: at least one, of at least one word each.
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


def _may_hold(lowered: str, terms: Sequence[Sought]) -> bool:
    """Whether an ASCII text has the letters of every word: most texts are told apart by that."""
    return all(any(word in lowered for word in words) for term in terms for words in term)


def snippet(found: Match) -> str:
    """The piece of a text around its first match, each match between « and », on one line."""
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
    """Some words before the first match, or the text's beginning."""
    begin = found.first - BEFORE
    if begin <= 0:
        return 0
    space = found.text.find(" ", begin, found.first)
    return begin if space < 0 else space + 1


def _on_one_line(text: str) -> str:
    return _SPACE.sub(" ", text)
