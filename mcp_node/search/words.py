"""The words of a text, as search knows them: pure, the same for what is stored and what is asked.

A word is a run of letters, digits and the marks on them; everything else separates, the underscore
too, so that ``message`` finds ``add_message``. Case and the accents of Latin, Greek and Cyrillic do
not count. Chinese and Japanese are written without spaces: there every character is a word, and a
run of them in a query is looked for as a phrase. Emoji and punctuation are no words.
"""

import re
import unicodedata
from typing import Final, NamedTuple

LONGEST: Final = 64
"""Characters of a word that count; what follows is not looked at."""

SHORTEST_KNOWN: Final = 3
LONGEST_KNOWN: Final = 24
MOST_DIGITS: Final = 3
"""Which words may be suggested: ids and numbers would fill any vocabulary, and nobody mistypes
them into another that was meant."""

_ASCII: Final = re.compile(r"[a-z0-9]+")


def _marks() -> str:
    """Signs that belong to the letter before them, in the scripts that need them, for a class."""
    marks = (chr(code) for code in range(0x300, 0x1D00))
    return "".join(mark for mark in marks if unicodedata.category(mark) in ("Mn", "Mc"))


_SINGLES: Final = (
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Characters of which each is a word: Han and kana."""
_ANY: Final = re.compile(f"[{_SINGLES}]|(?:[^\\W_{_SINGLES}]|[{_marks()}])+")
_NOT_COMPARED: Final = re.compile(f"[\u0300-\u036f_]|[^\\w{_marks()}]")
"""Accents, and what a compatibility form of one letter may hold besides letters, such as spaces."""


class Word(NamedTuple):
    """A word as it is compared, and where it stands in the text."""

    text: str
    start: int
    end: int


def composed(text: str) -> str:
    """The text in which `spans` counts: a letter and its accent are one character."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def words(text: str) -> list[str]:
    """Every word of a text in order, as it is compared."""
    if text.isascii():
        return [word[:LONGEST] for word in _ASCII.findall(text.lower())]
    return [word for hit in _ANY.findall(composed(text)) if (word := folded(hit))]


def spans(text: str) -> list[Word]:
    """The words of a `composed` text, and where they stand."""
    return [
        Word(word, hit.start(), hit.end())
        for hit in _ANY.finditer(text)
        if (word := folded(hit.group()))
    ]


def folded(word: str) -> str:
    """A word as it is compared: without case, without accents, not longer than `LONGEST`."""
    if word.isascii():
        return word.lower()[:LONGEST]
    bare = _NOT_COMPARED.sub("", unicodedata.normalize("NFKD", word.casefold()))
    return unicodedata.normalize("NFC", bare.casefold())[:LONGEST]


def is_known(word: str) -> bool:
    """Whether a word may enter the vocabulary, from which typing errors are corrected."""
    if not SHORTEST_KNOWN <= len(word) <= LONGEST_KNOWN:
        return False
    digits = 0 if word.isalpha() else sum(map(str.isdigit, word))
    return digits <= MOST_DIGITS and digits * 2 <= len(word)
