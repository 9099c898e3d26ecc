"""Searches the messages that a reader may see (`mcp_node.search.rows`), newest first.

A search first looks for messages that contain every word as typed. Only if there are none, words
that occur in no message the reader may see are treated as typing errors: they are replaced first by
the closest words that do occur there, then also by those farther away. Messages that the reader may
not see change neither results nor corrections.
"""

import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from mcp_node.log.sql import Connection
from mcp_node.search.matching import Match, Pattern, snippet
from mcp_node.search.query import Term
from mcp_node.search.rows import Criteria, VisibleMessages
from mcp_node.search.vocabulary import Vocabulary, closest_first

ALTERNATIVES: Final = 32
"""Limit on the words that replace one mistyped word or one prefix; the closest are chosen."""


class Hit(NamedTuple):
    """A message that was found, with a snippet instead of its content."""

    message_id: int
    session_id: str
    sender: str
    sender_type: str
    timestamp: str
    visibility: str
    snippet: str


class Found(NamedTuple):
    """The hits, whether there may be more, and the replacements found for each mistyped word."""

    hits: list[Hit]
    has_more: bool
    corrected: dict[str, list[str]]


class Corrections(NamedTuple):
    """Replacements for a mistyped word: the closest words that occur, and those farther away."""

    closest: list[str]
    farther: list[str]


def find(
    connection: Connection,
    *,
    vocabulary: Vocabulary,
    criteria: Criteria,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Search, for about `mcp_node.search.rows.SECONDS` at most.

    Raises:
        Unavailable: the index is too far behind the log.
    """
    visible = VisibleMessages(connection, vocabulary, criteria, clock)
    hits = _Hits(visible, criteria.limit)
    hits.collect([_pattern(visible, term) for term in criteria.terms])
    corrections = {} if hits.any else _corrections(visible, criteria.terms)
    if corrections:
        for farther in (False, True):
            if not hits.more:
                hits.collect(
                    [_corrected(visible, term, corrections, farther) for term in criteria.terms]
                )
    corrected = {
        typed: [word for word in (*options.closest, *options.farther) if word in hits.used]
        for typed, options in corrections.items()
    }
    return Found(hits.first(), hits.more, {word: some for word, some in corrected.items() if some})


class _Hits:
    """The messages found so far, and whether there are more."""

    def __init__(self, visible: VisibleMessages, limit: int) -> None:
        self._visible = visible
        self._limit = limit
        self._hits: dict[int, Hit] = {}
        self.used: set[str] = set()
        """The words that matched."""
        self.more = False

    @property
    def any(self) -> bool:
        """Whether something was found, or the search was truncated."""
        return bool(self._hits) or self.more

    def first(self) -> list[Hit]:
        """The hits, at most ``limit``."""
        return list(self._hits.values())

    def collect(self, patterns: Sequence[Pattern]) -> None:
        """Add the messages that match all patterns, newest first."""
        for row, found in self._visible.matches(patterns):
            if row[0] in self._hits:
                continue
            if len(self._hits) >= self._limit:
                self.more = True
                return
            self._add(Hit._make((*row[:6], snippet(found))), found)
        self.more = self.more or self._visible.truncated

    def _add(self, hit: Hit, found: Match) -> None:
        self._hits[hit.message_id] = hit
        self.used |= found.used


def _pattern(visible: VisibleMessages, term: Term) -> Pattern:
    """A term as it was typed; a prefix becomes the shortest words that begin with it."""
    pattern = [frozenset({word}) for word in term.words]
    if term.prefix:
        start = term.words[-1]
        endings = {word for words in visible.vocabularies() for word in words.beginning_with(start)}
        occurring = filter(visible.occurs, sorted(endings, key=lambda word: (len(word), word)))
        pattern[-1] = frozenset({start, *islice(occurring, ALTERNATIVES)})
    return pattern


def _corrections(visible: VisibleMessages, terms: Sequence[Term]) -> dict[str, Corrections]:
    """Corrections for each word that occurs nowhere. Prefixes are not corrected."""
    corrections = {}
    for term in terms:
        for word in term.words[:-1] if term.prefix else term.words:
            if word not in corrections and not visible.occurs(word):
                corrections[word] = _near(visible, word)
    return corrections


def _near(visible: VisibleMessages, word: str) -> Corrections:
    near: dict[str, int] = {}
    for words in visible.vocabularies():
        near |= words.near(word)
    occurring = list(islice(filter(visible.occurs, closest_first(word, near)), ALTERNATIVES))
    least = near[occurring[0]] if occurring else 0
    return Corrections(
        [other for other in occurring if near[other] == least],
        [other for other in occurring if near[other] > least],
    )


def _corrected(
    visible: VisibleMessages, term: Term, corrections: dict[str, Corrections], farther: bool
) -> Pattern:
    pattern = list(_pattern(visible, term))
    for index, word in enumerate(term.words):
        if word in corrections and not (term.prefix and index == len(term.words) - 1):
            options = corrections[word]
            pattern[index] = frozenset((*options.closest, *(options.farther if farther else ())))
    return pattern
