"""The words that occur in a scope, and those among them that a mistyped word may have meant.

Kept in memory for the wide scopes searched lately, and brought up to date before each use with what
is new since: one seek in ``search_words`` if that is nothing. What a scope has beyond the memory it
gets is read when it is needed, so no words ever hide others. A word need not occur where its reader
looks: whoever uses one makes sure of that.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

from mcp_node.search.words import LONGEST_KNOWN, is_known

MOST_OF_SCOPE: Final = 150_000
"""Words of one scope that are kept, the oldest ones."""

MOST_IN_MEMORY: Final = 500_000
"""Words of all scopes, about 40 MiB; beyond, the scopes not used for longest are let go."""

_AT_ONCE: Final = 20_000
"""Words compared in one call, which lets no other thread run: about 2 ms."""

_NEW_WORDS: Final = (
    "SELECT message_id, word FROM search_words WHERE scope = ? AND message_id > ?"
    " ORDER BY message_id"
)


def allowed_distance(word: str) -> int:
    """How many letters of a word may be wrong, missing, too many or swapped with the next one."""
    if not is_known(word):
        return 0
    return 1 if len(word) < 6 else 2


class Words:
    """The vocabulary of one scope, by length of its words."""

    __slots__ = ("_by_length", "count", "through")

    def __init__(self) -> None:
        self._by_length: dict[int, list[str]] = {}
        self.count = 0
        self.through = 0

    def add(self, words: Iterable[str]) -> None:
        """Add words; one may come again."""
        for word in words:
            self._by_length.setdefault(len(word), []).append(word)
            self.count += 1

    def add_rows(self, rows: Iterator[tuple[int, str]], most: int) -> Iterator[tuple[int, str]]:
        """Add the words of rows (message, word) until there are ``most``; returns the other rows.

        Words of one message are added together, even beyond ``most``.
        """
        for id_, word in rows:
            if self.count >= most and id_ != self.through:
                return chain([(id_, word)], rows)
            self.add([word])
            self.through = id_
        return iter(())

    def near(self, word: str) -> dict[str, int]:
        """The words within `allowed_distance`, and how far they are."""
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
        """The words that begin so, shorter ones first."""
        for length in range(len(start), LONGEST_KNOWN + 1):
            yield from sorted({w for w in self._by_length.get(length, ()) if w.startswith(start)})


class Vocabulary:
    """The vocabularies of the scopes searched lately. For one thread."""

    def __init__(self, most_of_scope: int = MOST_OF_SCOPE) -> None:
        self._most_of_scope = most_of_scope
        self._scopes: OrderedDict[int, Words] = OrderedDict()

    def of(self, connection: sqlite3.Connection, scope: int) -> Iterator[Words]:
        """The words of a scope, in parts.

        Args:
            connection: in the snapshot that is searched.
            scope: its number.
        """
        words = self._scopes.pop(scope, None) or Words()
        rows = connection.execute(_NEW_WORDS, (scope, words.through))
        if words.count < self._most_of_scope:
            rest = words.add_rows(rows, self._most_of_scope)
        else:
            rest = iter(rows)
        self._scopes[scope] = words
        while len(self._scopes) > 1 and self._held() > MOST_IN_MEMORY:
            self._scopes.popitem(last=False)
        yield words
        while some := list(islice(rest, _AT_ONCE)):
            part = Words()
            part.add(word for _, word in some)
            yield part

    def _held(self) -> int:
        return sum(words.count + 16 for words in self._scopes.values())


def closest_first(word: str, near: dict[str, int]) -> list[str]:
    """Words in the order in which ``word`` may have meant them.

    The fewest errors first; then those with the same first letter, for it is rarely mistyped, and
    those of the same length.
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
