"""Searching, over nothing but what the asking audience may see (`mcp_node.search.rows`).

Newest first. Messages that hold every word come alone. Only if there are none, words that occur in
no message the reader may see are taken for typing errors: first for the closest words that do
occur there, then for those farther away. Hidden messages change neither results nor corrections.
"""

import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from mcp_node.log.sql import Connection
from mcp_node.search.matching import Match, Sought, snippet
from mcp_node.search.query import Term
from mcp_node.search.rows import Visible, Wish
from mcp_node.search.vocabulary import Vocabulary, closest_first

ALTERNATIVES: Final = 32
"""The most words that one mistyped word, or one beginning, may stand for: the closest."""


class Hit(NamedTuple):
    """A message that was found, without its text but for a piece of it."""

    message_id: int
    session_id: str
    sender: str
    sender_type: str
    timestamp: str
    visibility: str
    snippet: str


class Found(NamedTuple):
    """Hits, whether there may be more, and for each mistyped word those found in its place."""

    hits: list[Hit]
    has_more: bool
    corrected: dict[str, list[str]]


class Meant(NamedTuple):
    """What a mistyped word may have meant: the closest words that occur, and those farther off."""

    closest: list[str]
    farther: list[str]


def find(
    connection: Connection,
    *,
    vocabulary: Vocabulary,
    wish: Wish,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Search, for at most about `mcp_node.search.rows.SECONDS`.

    Raises:
        Unavailable: the index is too far behind the log.
    """
    visible = Visible(connection, vocabulary, wish, clock)
    hits = _Hits(visible, wish.limit)
    hits.collect([_as_typed(visible, term) for term in wish.terms])
    meant = {} if hits.some else _meant(visible, wish.terms)
    if meant:
        for farther in (False, True):
            if not hits.more:
                hits.collect([_as_meant(visible, term, meant, farther) for term in wish.terms])
    corrected = {
        typed: [word for word in (*options.closest, *options.farther) if word in hits.used]
        for typed, options in meant.items()
    }
    return Found(hits.first(), hits.more, {word: some for word, some in corrected.items() if some})


class _Hits:
    """What was found so far, and whether that is enough."""

    def __init__(self, visible: Visible, limit: int) -> None:
        self._visible = visible
        self._limit = limit
        self._hits: dict[int, Hit] = {}
        self.used: set[str] = set()
        """The words by which the hits are hits."""
        self.more = False

    @property
    def some(self) -> bool:
        """Whether it found something, or had to end early."""
        return bool(self._hits) or self.more

    def first(self) -> list[Hit]:
        """The hits, at most as many as wanted."""
        return list(self._hits.values())

    def collect(self, sought: Sequence[Sought]) -> None:
        """Add what holds the terms, newest first."""
        for row, place in self._visible.matches(sought):
            if row[0] in self._hits:
                continue
            if len(self._hits) >= self._limit:
                self.more = True
                return
            self._add(Hit._make((*row[:6], snippet(place))), place)
        self.more = self.more or self._visible.cut

    def _add(self, hit: Hit, place: Match) -> None:
        self._hits[hit.message_id] = hit
        self.used |= place.used


def _as_typed(visible: Visible, term: Term) -> Sought:
    sought = [frozenset({word}) for word in term.words]
    if term.prefix:
        start = term.words[-1]
        endings = {word for words in visible.vocabularies() for word in words.beginning_with(start)}
        occurring = filter(visible.occurs, sorted(endings, key=lambda word: (len(word), word)))
        sought[-1] = frozenset({start, *islice(occurring, ALTERNATIVES)})
    return sought


def _meant(visible: Visible, terms: Sequence[Term]) -> dict[str, Meant]:
    """What each word that occurs nowhere may have meant; a beginning is taken as it is."""
    meant = {}
    for term in terms:
        for word in term.words[:-1] if term.prefix else term.words:
            if word not in meant and not visible.occurs(word):
                meant[word] = _near(visible, word)
    return meant


def _near(visible: Visible, word: str) -> Meant:
    near: dict[str, int] = {}
    for words in visible.vocabularies():
        near |= words.near(word)
    occurring = list(islice(filter(visible.occurs, closest_first(word, near)), ALTERNATIVES))
    least = near[occurring[0]] if occurring else 0
    return Meant(
        [other for other in occurring if near[other] == least],
        [other for other in occurring if near[other] > least],
    )


def _as_meant(visible: Visible, term: Term, meant: dict[str, Meant], farther: bool) -> Sought:
    sought = list(_as_typed(visible, term))
    for place, word in enumerate(term.words):
        if word in meant and not (term.prefix and place == len(term.words) - 1):
            options = meant[word]
            sought[place] = frozenset((*options.closest, *(options.farther if farther else ())))
    return sought
