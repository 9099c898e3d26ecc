"""What was typed, as words to look for: pure; nothing of any query language reaches the database.

Words are looked for together, in any order and place. Words in ``"double quotes"``, and those that
punctuation holds together (``add_message``, ``10.5``), must follow each other. A ``*`` at the end
of a word stands for any ending. Everything else that is no letter or digit separates words.
"""

import re
from typing import Any, Final, NamedTuple

from mcp_node.search.words import words
from proto.errors import InvalidInput, TooLarge
from proto.strictjson import check_text

MAX_QUERY_CHARS: Final = 200
MAX_WORDS: Final = 8
"""A phrase counts with each of its words; of Chinese and Japanese, see `MAX_CHARACTERS`."""

MAX_CHARACTERS: Final = 24
"""Words, where each character is one."""

_PART: Final = re.compile(r'"([^"]*)"|([^\s"]+)')


class Term(NamedTuple):
    """Words that follow each other; of the last only the beginning if ``prefix``."""

    words: tuple[str, ...]
    prefix: bool = False


def parse(query: Any) -> list[Term]:
    """The terms of a query.

    Raises:
        InvalidInput: it is no text, has no word or too many.
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
            "query has no word in it.", "Search for words; punctuation and emoji are not found."
        )
    total = sum(len(term.words) for term in terms)
    single = all(len(word) == 1 for term in terms for word in term.words)
    if total > (MAX_CHARACTERS if single else MAX_WORDS):
        raise InvalidInput(f"query may have at most {MAX_WORDS} words.", "Search for fewer words.")
    return list(dict.fromkeys(terms))
