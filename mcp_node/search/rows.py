"""Reads of one search: the index and the messages behind it, in one snapshot.

Only posting lists of the reader's own scopes are read (`mcp_node.search.index`), and the messages
they lead to are filtered again by audience key and session. The few messages that are not indexed
yet are read directly.
"""

import heapq
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from mcp_node.log.sql import Connection, numbers
from mcp_node.search.index import DUE_MESSAGES, EVERYWHERE, STATEMENTS
from mcp_node.search.matching import Match, Pattern, match
from mcp_node.search.query import Term
from mcp_node.search.terms import Statements
from mcp_node.search.vocabulary import Vocabulary, WordList
from mcp_node.search.words import is_known, words
from mcp_node.sessions.filters import has_fields, under
from mcp_node.sessions.rows import visible_keys
from proto.errors import Unavailable
from proto.messages import MAX_ID, Audience
from proto.visibility import KEY_RANGE_ALL_TYPES

WINDOW: Final = 250_000
"""Ids searched in one statement. A search that takes too long ends between two statements."""

SECONDS: Final = 1.0
"""Time limit of a search. It returns what it has found by then."""

TERMS: Final = 600
"""Terms in one statement; each takes some ten microseconds. A reader of many scopes needs several
statements."""

MISSES: Final = 2_000
"""Messages that contain the words of a phrase but not the phrase, after which a search ends."""

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
    " AND (CAST(:sessions AS TEXT) IS NULL"
    " OR session_id IN (SELECT value FROM json_each(:sessions)))"
)
_WANTED: Final = (
    f"{_VISIBLE} AND timestamp BETWEEN :since AND :until"
    " AND (CAST(:sender AS TEXT) IS NULL OR sender = :sender"
    " OR substr(sender, 1, length(:sender) + 1) = :sender || '/')"
    f" AND (CAST(:thread AS TEXT) IS NULL OR m.id IN {numbers(':thread')})"
    f" AND (CAST(:wanted AS BIGINT) = 0 OR {has_fields('m')})"
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


class Criteria(NamedTuple):
    """What to search for, and for whom.

    Attributes:
        audience: of the reader.
        within: the sessions to search; None for all.
        terms: at least one; a message must match all of them.
        sender: only messages of this sender, its sub-agents included.
        since: only messages with this timestamp or a later one.
        until: only messages with this timestamp or an earlier one.
        limit: the most hits to return, at least 1.
        thread: only messages under this one; then ``within`` is its session.
        fields: only messages whose metadata has all fields of these digests.
    """

    audience: Audience
    within: frozenset[str] | None
    terms: Sequence[Term]
    sender: str | None
    since: str | None
    until: str | None
    limit: int
    thread: int | None = None
    fields: tuple[str, ...] = ()


class VisibleMessages:
    """The messages that the audience may see and the filters select.

    Args:
        connection: in the snapshot to search.
        vocabulary: shared by all searches on the connection.
        criteria: the audience and the filters.
        clock: in seconds; the search ends `SECONDS` from now.

    Raises:
        Unavailable: the index is too far behind the log.
        MessageNotFound: the reader may see no such message as the thread's.
    """

    def __init__(
        self,
        connection: Connection,
        vocabulary: Vocabulary,
        criteria: Criteria,
        clock: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._statements = STATEMENTS[connection.engine]
        self._vocabulary = vocabulary
        self._criteria = criteria
        self._clock = clock
        self._deadline = clock() + SECONDS
        self._misses = 0
        self.truncated = False
        """Whether the search ended early, so that there may be more."""
        (self._through,) = connection.execute("SELECT through FROM search_state").fetchone()
        self._refuse_old_index()
        self._parameters = self._as_parameters()
        self._scopes = self._scope_ids(self._parameters["places"])
        self._latest: tuple[frozenset[str], WordList] | None = None

    def matches(self, patterns: Sequence[Pattern]) -> Iterator[tuple[Any, Match]]:
        """Rows that match all patterns, newest first.

        A row is id, session_id, sender, sender_type, timestamp, visibility, content.
        """
        sender = self._criteria.sender
        if not all(accepted for pattern in patterns for accepted in pattern) or (
            sender is not None and not _SENDER.fullmatch(sender)
        ):
            return
        for row in self._rows(patterns):
            found = match(row[6], patterns)
            if found is not None:
                yield row, found
            elif row[0] <= self._through:
                self._misses += 1
                self.truncated = self.truncated or self._misses >= MISSES
            if self._out_of_time():
                return

    def occurs(self, word: str) -> bool:
        """Whether any message that the reader may see contains a word, ignoring other filters."""
        if word in self._latest_words()[0]:
            return True
        if self._out_of_time():
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

    def vocabularies(self) -> Iterator[WordList]:
        """Lists of words that together include every word for which `occurs` is true."""
        for scope in self._scope_ids(_json([EVERYWHERE])):
            for part in self._vocabulary.of(self._connection, scope):
                if self._out_of_time():
                    return
                yield part
        yield self._latest_words()[1]

    def _rows(self, patterns: Sequence[Pattern]) -> Iterator[Any]:
        yield from self._connection.execute(_LATEST, self._parameters)
        expressions = list(self._expressions(patterns))
        low, high = self._span()
        while expressions and high >= low and not self._out_of_time():
            start = max(low, high - WINDOW + 1)
            parts = [self._window(expression, start, high) for expression in expressions]
            yield from heapq.merge(*parts, key=itemgetter(0), reverse=True)
            high = start - 1

    def _window(self, expression: str, low: int, high: int) -> Iterator[Any]:
        if not self._out_of_time():
            window = {"expression": expression, "low": low, "high": high}
            statement = _indexed(self._statements)
            yield from self._connection.execute(statement, {**self._parameters, **window})

    def _out_of_time(self) -> bool:
        self.truncated = self.truncated or self._clock() > self._deadline
        return self.truncated

    def _expressions(self, patterns: Sequence[Pattern]) -> Iterator[str]:
        """Expressions for messages in the reader's scopes that have a word of every set.

        Nothing needs escaping: words consist of letters, digits and marks.
        """
        statements = self._statements
        sender = [] if self._criteria.sender is None else [[f"@{self._criteria.sender}"]]
        needed = [sorted(accepted) for pattern in patterns for accepted in pattern] + sender
        for scopes in self._parts(sum(map(len, needed))):
            yield statements.either.join(
                f"({statements.both.join(_any_of(statements, scope, found) for found in needed)})"
                for scope in scopes
            )

    def _parts(self, terms: int) -> Iterator[list[int]]:
        """The reader's scopes, in groups for which a statement has at most `TERMS` terms."""
        size = max(1, TERMS // terms)
        for start in range(0, len(self._scopes), size):
            yield self._scopes[start : start + size]

    def _span(self) -> tuple[int, int]:
        """The range of indexed ids that may lie between since and until.

        Timestamps grow with ids unless the clock was set back, hence the margin. Each row's
        timestamp is compared as well.
        """
        low, high = 1, int(self._through)
        if self._criteria.since is not None:
            low = self._first_at(_moved(self._criteria.since, -_CLOCK_STEP))
        if self._criteria.until is not None:
            high = min(high, self._first_at(_moved(self._criteria.until, _CLOCK_STEP)))
        return low, high

    def _first_at(self, moment: str) -> int:
        """The first id with that timestamp or a later one, by binary search."""
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

    def _scope_ids(self, places: str) -> list[int]:
        """The ids of the reader's scopes in these sessions."""
        rows = self._connection.execute(_SCOPES, {**self._parameters, "places": places})
        return [number for (number,) in rows]

    def _latest_words(self) -> tuple[frozenset[str], WordList]:
        """The words of messages that are not indexed yet, as a set and as a vocabulary."""
        if self._latest is None:
            texts = self._connection.execute(_LATEST_TEXTS, self._parameters)
            found = frozenset(word for (text,) in texts for word in words(text))
            known = WordList()
            known.add(filter(is_known, found))
            self._latest = found, known
        return self._latest

    def _refuse_old_index(self) -> None:
        behind = self._connection.execute(
            "SELECT 1 FROM messages WHERE id > ? LIMIT 1 OFFSET ?", (self._through, _NOT_INDEXED)
        ).fetchone()
        if behind is not None:
            raise Unavailable("The search index is too far behind the log.")

    def _as_parameters(self) -> dict[str, Any]:
        criteria = self._criteria
        keys, all_types = visible_keys(criteria.audience, None)
        within = None if criteria.within is None else sorted(criteria.within)
        return {
            "keys": _json(keys),
            "all_types": all_types,
            "sessions": None if within is None else _json(within),
            "places": _json([EVERYWHERE] if within is None else within),
            "sender": criteria.sender,
            "since": criteria.since or "",
            "until": criteria.until or "~",
            "through": self._through,
            "thread": None if criteria.thread is None else _json(self._thread()),
            "fields": _json(criteria.fields),
            "wanted": len(criteria.fields),
        }

    def _thread(self) -> list[int]:
        """The ids under the thread's message."""
        criteria = self._criteria
        assert criteria.within is not None and criteria.thread is not None
        (session_id,) = criteria.within
        return under(self._connection, session_id, criteria.audience, criteria.thread)


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


def _json(values: Sequence[object]) -> str:
    return msgspec.json.encode(values).decode()


def _moved(moment: str, by: timedelta) -> str:
    """A timestamp moved by some time; unmoved if the year would be out of range."""
    try:
        return (datetime.strptime(moment, _TIMESTAMP) + by).strftime(_TIMESTAMP).rjust(27, "0")
    except OverflowError:
        return moment
