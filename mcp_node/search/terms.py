"""The terms that a message is indexed under, and what each engine does with them."""

from collections.abc import Iterable
from typing import NamedTuple

from mcp_node.search.words import words


class Statements(NamedTuple):
    """The SQL of one engine's index, and how it writes an expression of terms.

    Attributes:
        add_terms: takes a JSON object, the terms (parted by blanks) by message id.
        add_words: takes a JSON array of scope, message id and word.
        tables: the index and ``messages AS m``, joined.
        key: the id's column in the index, ``f``.
        matches: the condition, with ``:expression``, ``:low`` and ``:high`` (ids, inclusive).
        occurs: whether anything matches an expression.
        either: between terms of which one is enough.
        both: between terms that are all needed.
        quote: around a term. Nothing in one needs escaping: it has letters, digits and marks only.
    """

    add_terms: str
    add_words: str
    tables: str
    key: str
    matches: str
    occurs: str
    either: str
    both: str
    quote: str


def senders(sender: str) -> list[str]:
    """The names a sender is found under: its own, and for ``main/label`` also ``main``."""
    main, slash, _ = sender.partition("/")
    return [f"@{sender}", f"@{main}"] if slash else [f"@{sender}"]


def terms_of(content: str, sender: str, near: int, wide: int) -> str:
    """All terms of a message in its two scopes."""
    return scoped({*words(content), *senders(sender)}, near, wide)


def scoped(found: Iterable[str], near: int, wide: int) -> str:
    """Words and names as terms of two scopes."""
    text = " ".join(found)
    return f"{near}_{text.replace(' ', f' {near}_')} {wide}_{text.replace(' ', f' {wide}_')}"
