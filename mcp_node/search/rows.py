"""What one reader may find: the index and the messages behind it, in one snapshot.

Only lists of the reader's own scopes are walked (`mcp_node.search.index`), and what they
lead to is filtered again by audience key and session. The few messages that are not indexed yet
are read themselves.
"""

import heapq
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from mcp_node.log.sql import Connection
from mcp_node.search.index import DUE_MESSAGES, EVERYWHERE, STATEMENTS
from mcp_node.search.matching import Match, Sought, match
from mcp_node.search.query import Term
from mcp_node.search.terms import Statements
from mcp_node.search.vocabulary import Vocabulary, Words
from mcp_node.search.words import is_known, words
from mcp_node.sessions.rows import visible_keys
from proto.errors import Unavailable
from proto.messages import MAX_ID, Audience
from proto.visibility import KEY_RANGE_ALL_TYPES

WINDOW: Final = 250_000
"""Ids looked through in one statement: between two, a search that takes too long ends."""

SECONDS: Final = 1.0
"""How long a search may look; what it has found by then is its result."""

TERMS: Final = 600
"""Terms in one statement, some ten microseconds each: a token of many sessions takes several."""

MISSES: Final = 2_000
"""Messages that hold the words of a phrase, but apart, before a search ends."""

_NOT_INDEXED: Final = 20 * DUE_MESSAGES
_CLOCK_STEP: Final = timedelta(hours=1)
_TIMESTAMP: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_SENDER: Final = re.compile(r"[A-Za-z0-9._/-]+")
_LOW, _HIGH = KEY_RANGE_ALL_TYPES

_HELD: Final = (
    "(audience IN (SELECT value FROM json_each(:keys))"
    f" OR (:all_types = 1 AND audience >= '{_LOW}' AND audience < '{_HIGH}'))"
)
_VISIBLE: Final = (
    f"{_HELD} AND content <> ''"
    " AND (CAST(:sessions AS TEXT) IS NULL OR session_id IN (SELECT value FROM json_each(:sessions)))"
)
_WANTED: Final = (
    f"{_VISIBLE} AND timestamp BETWEEN :since AND :until AND (CAST(:sender AS TEXT) IS NULL OR sender = :sender"
    " OR substr(sender, 1, length(:sender) + 1) = :sender || '/')"
)
_COLUMNS: Final = "m.id, session_id, sender, sender_type, timestamp, visibility, content"
_LATEST: Final = (
    f"SELECT {_COLUMNS} FROM messages AS m WHERE m.id > :through AND {_WANTED} ORDER BY m.id DESC"
)
_LATEST_TEXTS: Final = f"SELECT content FROM messages WHERE id > :through AND {_VISIBLE}"
_SCOPES: Final = (
    "SELECT id FROM search_scopes WHERE session_id IN (SELECT value FROM json_each(:places))"
    f" AND {_HELD} ORDER BY id"
)


class Wish(NamedTuple):
    """What is looked for, and by whom.

    ``within`` are the sessions to look in (None: all), ``sender`` a name with its sub-agents,
    ``since`` and ``until`` the first and last timestamp wanted, ``limit`` at least 1.
    """

    audience: Audience
    within: frozenset[str] | None
    terms: Sequence[Term]
    sender: str | None
    since: str | None
    until: str | None
    limit: int


class Visible:
    """The messages that a wish's audience may see and its filters let through.

    Args:
        connection: in the snapshot to be searched.
        vocabulary: shared by all searches of the connection.
        wish: whose and which.
        clock: seconds; it may look for `SECONDS`.

    Raises:
        Unavailable: the index is too far behind the log.
    """

    def __init__(
        self,
        connection: Connection,
        vocabulary: Vocabulary,
        wish: Wish,
        clock: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._statements = STATEMENTS[connection.engine]
        self._vocabulary = vocabulary
        self._wish = wish
        self._clock = clock
        self._deadline = clock() + SECONDS
        self._misses = 0
        self.cut = False
        """Whether it ended early: there may be more."""
        (self._through,) = connection.execute("SELECT through FROM search_state").fetchone()
        self._refuse_old_index()
        self._parameters = self._as_parameters()
        self._scopes = self._numbers(self._parameters["places"])
        self._latest: tuple[frozenset[str], Words] | None = None

    def matches(self, sought: Sequence[Sought]) -> Iterator[tuple[Any, Match]]:
        """Rows that hold what is sought, newest first.

        A row is id, session_id, sender, sender_type, timestamp, visibility, content.
        """
        sender = self._wish.sender
        if not all(found for term in sought for found in term) or (
            sender is not None and not _SENDER.fullmatch(sender)
        ):
            return
        for row in self._rows(sought):
            place = match(row[6], sought)
            if place is not None:
                yield row, place
            elif row[0] <= self._through:
                self._misses += 1
                self.cut = self.cut or self._misses >= MISSES
            if self._late():
                return

    def occurs(self, word: str) -> bool:
        """Whether a message that the reader may see holds a word, whatever the other filters."""
        if word in self._latest_words()[0]:
            return True
        if self._late():
            return False
        for scopes in self._parts(1):
            statements = self._statements
            expression = statements.either.join(
                _any_of(statements, scope, [word]) for scope in scopes
            )
            found = self._connection.execute(statements.occurs, (expression,))
            if found.fetchone() is not None:
                return True
        return False

    def vocabularies(self) -> Iterator[Words]:
        """Words among which are all that `occurs` knows, in parts."""
        for scope in self._numbers(_json([EVERYWHERE])):
            for part in self._vocabulary.of(self._connection, scope):
                if self._late():
                    return
                yield part
        yield self._latest_words()[1]

    def _rows(self, sought: Sequence[Sought]) -> Iterator[Any]:
        yield from self._connection.execute(_LATEST, self._parameters)
        expressions = list(self._expressions(sought))
        low, high = self._span()
        while expressions and high >= low and not self._late():
            start = max(low, high - WINDOW + 1)
            parts = [self._window(expression, start, high) for expression in expressions]
            yield from heapq.merge(*parts, key=itemgetter(0), reverse=True)
            high = start - 1

    def _window(self, expression: str, low: int, high: int) -> Iterator[Any]:
        if not self._late():
            window = {"expression": expression, "low": low, "high": high}
            statement = _indexed(self._statements)
            yield from self._connection.execute(statement, {**self._parameters, **window})

    def _late(self) -> bool:
        self.cut = self.cut or self._clock() > self._deadline
        return self.cut

    def _expressions(self, sought: Sequence[Sought]) -> Iterator[str]:
        """Every word of every term in one of the reader's scopes, in parts."""
        sender = [] if self._wish.sender is None else [[f"@{self._wish.sender}"]]
        statements = self._statements
        needed = [sorted(found) for term in sought for found in term] + sender
        for scopes in self._parts(sum(map(len, needed))):
            yield statements.either.join(
                f"({statements.both.join(_any_of(statements, scope, found) for found in needed)})"
                for scope in scopes
            )

    def _parts(self, terms: int) -> Iterator[list[int]]:
        """The reader's scopes, so many at once as have `TERMS` terms."""
        size = max(1, TERMS // terms)
        for start in range(0, len(self._scopes), size):
            yield self._scopes[start : start + size]

    def _span(self) -> tuple[int, int]:
        """The indexed ids that may have been added between since and until.

        Timestamps rise with ids as far as the clock did; each row's own is compared besides.
        """
        low, high = 1, int(self._through)
        if self._wish.since is not None:
            low = self._first_at(_moved(self._wish.since, -_CLOCK_STEP))
        if self._wish.until is not None:
            high = min(high, self._first_at(_moved(self._wish.until, _CLOCK_STEP)))
        return low, high

    def _first_at(self, moment: str) -> int:
        """The first id of that moment or later."""
        low, high = 1, int(self._through) + 1
        while low < high:
            middle = (low + high) // 2
            row = self._connection.execute(
                "SELECT id, timestamp FROM messages WHERE id >= ? ORDER BY id LIMIT 1", (middle,)
            ).fetchone()
            if row is None or row[1] >= moment:
                high = middle
            else:
                low = min(row[0], MAX_ID) + 1
        return low

    def _numbers(self, places: str) -> list[int]:
        """The scopes that the reader holds in these sessions."""
        rows = self._connection.execute(_SCOPES, {**self._parameters, "places": places})
        return [number for (number,) in rows]

    def _latest_words(self) -> tuple[frozenset[str], Words]:
        """The words of what is not indexed yet, and as a vocabulary."""
        if self._latest is None:
            texts = self._connection.execute(_LATEST_TEXTS, self._parameters)
            found = frozenset(word for (text,) in texts for word in words(text))
            known = Words()
            known.add(filter(is_known, found))
            self._latest = found, known
        return self._latest

    def _refuse_old_index(self) -> None:
        behind = self._connection.execute(
            "SELECT 1 FROM messages WHERE id > ? LIMIT 1 OFFSET ?", (self._through, _NOT_INDEXED)
        ).fetchone()
        if behind is not None:
            raise Unavailable("The index of search is behind.")

    def _as_parameters(self) -> dict[str, Any]:
        wish = self._wish
        keys, all_types = visible_keys(wish.audience, None)
        within = None if wish.within is None else sorted(wish.within)
        return {
            "keys": _json(keys),
            "all_types": all_types,
            "sessions": None if within is None else _json(within),
            "places": _json([EVERYWHERE] if within is None else within),
            "sender": wish.sender,
            "since": wish.since or "",
            "until": wish.until or "~",
            "through": self._through,
        }


@lru_cache
def _indexed(statements: Statements) -> str:
    return (
        f"SELECT {_COLUMNS} FROM {statements.tables}"
        f" WHERE {statements.matches} AND {_WANTED} ORDER BY f.{statements.key} DESC"
    )


def _any_of(statements: Statements, scope: int, found: Sequence[str]) -> str:
    quote = statements.quote
    either = statements.either.join(f"{quote}{scope}_{word}{quote}" for word in found)
    return f"({either})"


def _json(values: list[str]) -> str:
    return msgspec.json.encode(values).decode()


def _moved(moment: str, by: timedelta) -> str:
    """A timestamp moved, as far as there are years."""
    try:
        return (datetime.strptime(moment, _TIMESTAMP) + by).strftime(_TIMESTAMP).rjust(27, "0")
    except OverflowError:
        return moment
