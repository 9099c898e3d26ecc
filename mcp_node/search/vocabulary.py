"""The words that occur in a scope, and which of them are close to a mistyped word.

Vocabularies are cached for the wide scopes searched recently. Before each use the cache is updated
with new words; if there are none, that is one seek in ``search_words``. Words beyond the memory
limit of a scope are read from the database when needed, so every word is considered. A word need
not occur in the sessions that are searched: the caller checks that.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

from mcp_node.log.sql import Connection
from mcp_node.search.words import LONGEST_KNOWN, is_known

MOST_OF_SCOPE: Final = 150_000
"""Limit on cached words of one scope. The words of its oldest messages are cached."""

MOST_IN_MEMORY: Final = 500_000
"""Limit on cached words of all scopes, about 40 MiB. Least recently used scopes are evicted."""

_AT_ONCE: Final = 20_000
"""Words compared in one call, which holds the GIL for about 2 ms."""

_NEW_WORDS: Final = (
    "SELECT message_id, word FROM search_words WHERE scope = ? AND message_id > ?"
    " ORDER BY message_id"
)


def allowed_distance(word: str) -> int:
    """How many letters of a word may be wrong, missing, extra or swapped with the next one."""
    if not is_known(word):
        return 0
    return 1 if len(word) < 6 else 2


class WordList:
    """Words of one scope, grouped by length: a word within some distance has a similar length."""

    __slots__ = ("_by_length", "count", "through")

    def __init__(self) -> None:
        self._by_length: dict[int, list[str]] = {}
        self.count = 0
        self.through = 0

    def add(self, words: Iterable[str]) -> None:
        """Add words. Duplicates are allowed."""
        for word in words:
            self._by_length.setdefault(len(word), []).append(word)
            self.count += 1

    def add_rows(self, rows: Iterator[tuple[int, str]], most: int) -> Iterator[tuple[int, str]]:
        """Add rows of message id and word until there are ``most``; return the remaining rows.

        All words of a message are added together, even beyond ``most``, so that ``through`` tells
        what is cached.
        """
        for id_, word in rows:
            if self.count >= most and id_ != self.through:
                return chain([(id_, word)], rows)
            self.add([word])
            self.through = id_
        return iter(())

    def near(self, word: str) -> dict[str, int]:
        """The words within `allowed_distance`, with their distances."""
        most = allowed_distance(word)
        found: dict[str, int] = {}
        for length in range(len(word) - most, len(word) + most + 1) if most else ():
            same = self._by_length.get(length, [])
            for start in range(0, len(same), _AT_ONCE):
                hits = process.extract(
                    word,
                    same[start : start + _AT_ONCE],
                    scorer=OSA.distance,
                    processor=None,
                    score_cutoff=most,
                    limit=None,
                )
                found.update((other, int(distance)) for other, distance, _ in hits)
        return found

    def beginning_with(self, start: str) -> Iterator[str]:
        """The words with a prefix, shorter ones first."""
        for length in range(len(start), LONGEST_KNOWN + 1):
            yield from sorted({w for w in self._by_length.get(length, ()) if w.startswith(start)})


class Vocabulary:
    """Cached word lists of the scopes searched recently. For use in one thread."""

    def __init__(self, most_of_scope: int = MOST_OF_SCOPE) -> None:
        self._most_of_scope = most_of_scope
        self._scopes: OrderedDict[int, WordList] = OrderedDict()

    def of(self, connection: Connection, scope: int) -> Iterator[WordList]:
        """The words of a scope, as several lists.

        Args:
            connection: in the snapshot to search.
            scope: its id.
        """
        words = self._scopes.pop(scope, None) or WordList()
        rows = iter(connection.execute(_NEW_WORDS, (scope, words.through)))
        if words.count < self._most_of_scope:
            rest = words.add_rows(rows, self._most_of_scope)
        else:
            rest = iter(rows)
        self._scopes[scope] = words
        while len(self._scopes) > 1 and self._held() > MOST_IN_MEMORY:
            self._scopes.popitem(last=False)
        yield words
        while some := list(islice(rest, _AT_ONCE)):
            part = WordList()
            part.add(word for _, word in some)
            yield part

    def _held(self) -> int:
        return sum(words.count + 16 for words in self._scopes.values())


def closest_first(word: str, near: dict[str, int]) -> list[str]:
    """Words sorted by how likely they are what ``word`` should have been.

    Fewest errors first; then words with the same first letter, which is rarely mistyped; then
    words of a similar length.
    """
    return sorted(
        near,
        key=lambda other: (
            near[other],
            other[0] != word[0],
            abs(len(other) - len(word)),
            other,
        ),
    )
