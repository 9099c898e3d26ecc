"""Splits a text into words, for the index and for queries alike. Pure.

A word is a run of letters, digits and combining marks. Everything else separates words, including
the underscore, so that ``message`` finds ``add_message``. Case is ignored, and so are accents in
Latin, Greek and Cyrillic. Chinese and Japanese are written without spaces: there each character is
a word, and a run of them in a query is a phrase. Emoji and punctuation are not words.
"""

import re
import unicodedata
from typing import Final, NamedTuple

LONGEST: Final = 64
"""Characters of a word that are compared; the rest is ignored."""

SHORTEST_KNOWN: Final = 3
LONGEST_KNOWN: Final = 24
MOST_DIGITS: Final = 3
"""Bounds on words that can be suggested as corrections. Ids and numbers are excluded: they would
fill the vocabulary, and are not useful corrections."""

_ASCII: Final = re.compile(r"[a-z0-9]+")


def _marks() -> str:
    """The combining marks, which belong to the letter before them, for a regex character class."""
    marks = (chr(code) for code in range(0x300, 0x1D00))
    return "".join(mark for mark in marks if unicodedata.category(mark) in ("Mn", "Mc"))


_SINGLES: Final = (
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Characters that are words by themselves: Han and kana."""
_ANY: Final = re.compile(f"[{_SINGLES}]|(?:[^\\W_{_SINGLES}]|[{_marks()}])+")
_NOT_COMPARED: Final = re.compile(f"[\u0300-\u036f_]|[^\\w{_marks()}]")
"""Accents, and non-letters that a compatibility decomposition can produce, such as spaces."""


class Word(NamedTuple):
    """A word as it is compared, and its position in the text."""

    text: str
    start: int
    end: int


def composed(text: str) -> str:
    """The text in NFC, where a letter and its accent are one character; see `spans`."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def words(text: str) -> list[str]:
    """The words of a text in order, as they are compared."""
    if text.isascii():
        return [word[:LONGEST] for word in _ASCII.findall(text.lower())]
    return [word for hit in _ANY.findall(composed(text)) if (word := folded(hit))]


def spans(text: str) -> list[Word]:
    """The words of a `composed` text with their positions."""
    return [
        Word(word, hit.start(), hit.end())
        for hit in _ANY.finditer(text)
        if (word := folded(hit.group()))
    ]


def folded(word: str) -> str:
    """A word as it is compared: case-folded, without accents, at most `LONGEST` characters."""
    if word.isascii():
        return word.lower()[:LONGEST]
    bare = _NOT_COMPARED.sub("", unicodedata.normalize("NFKD", word.casefold()))
    return unicodedata.normalize("NFC", bare.casefold())[:LONGEST]


def is_known(word: str) -> bool:
    """Whether a word belongs in the vocabulary, from which typing errors are corrected."""
    if not SHORTEST_KNOWN <= len(word) <= LONGEST_KNOWN:
        return False
    digits = 0 if word.isalpha() else sum(map(str.isdigit, word))
    return digits <= MOST_DIGITS and digits * 2 <= len(word)
