"""Parses a query into words to search for. Pure; no query language reaches the database.

A message must contain all words, in any order. Words in ``"double quotes"``, and words joined by
punctuation (``add_message``, ``10.5``), must follow each other. A ``*`` at the end of a word makes
it a prefix. All other characters that are not letters or digits separate words.
"""

import re
from typing import Any, Final, NamedTuple

from mcp_node.search.words import words
from proto.errors import InvalidInput, TooLarge
from proto.strictjson import check_text

MAX_QUERY_CHARS: Final = 200
MAX_WORDS: Final = 8
"""Each word of a phrase counts. For Chinese and Japanese see `MAX_CHARACTERS`."""

MAX_CHARACTERS: Final = 24
"""Limit on words where every word is one character."""

_PART: Final = re.compile(r'"([^"]*)"|([^\s"]+)')


class Term(NamedTuple):
    """Words that follow each other. If ``prefix``, the last one is a prefix."""

    words: tuple[str, ...]
    prefix: bool = False


def parse(query: Any) -> list[Term]:
    """Parse a query into terms.

    Raises:
        InvalidInput: it is not a string, has no word or too many.
        TooLarge: it has more than `MAX_QUERY_CHARS` characters.
    """
    if not isinstance(query, str):
        raise InvalidInput("query must be a string.")
    if len(query) > MAX_QUERY_CHARS:
        raise TooLarge(
            f"query may have at most {MAX_QUERY_CHARS} characters.", "Search for fewer words."
        )
    check_text(query, "query")
    terms = []
    for part in _PART.finditer(query):
        quoted, bare = part.groups()
        found = tuple(words(quoted if bare is None else bare))
        if found:
            terms.append(Term(found, bare is not None and bare.endswith("*")))
    if not terms:
        raise InvalidInput(
            "query has no word in it.", "Search for words; punctuation and emoji are not indexed."
        )
    total = sum(len(term.words) for term in terms)
    single = all(len(word) == 1 for term in terms for word in term.words)
    if total > (MAX_CHARACTERS if single else MAX_WORDS):
        raise InvalidInput(f"query may have at most {MAX_WORDS} words.", "Search for fewer words.")
    return list(dict.fromkeys(terms))
