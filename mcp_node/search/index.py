"""The index of search, as it is written.

A message is indexed under two *scopes*, its audience key within its session (*near*) and its
audience key in all sessions (*wide*), and every term begins with the number of its scope:
``12_hello`` and ``3_hello`` for a word, ``12_@claude-main`` for its sender. So a search touches
nothing but what its reader may see: no list of postings, no vocabulary and no count is shared with
what is hidden, and others' messages can neither slow it down nor show in it.

``search`` is an FTS5 table without content, positions or sizes: rowid is the message's id, and the
text behind a hit is read (and compared again) in ``messages``. ``search_words`` has each word once
per wide scope with a message that holds it, for `mcp_node.search.vocabulary`. Triggers take
a message out of both when its content goes. FTS5 writes that down at once, and drops the bytes when
it next merges that part of the index.

FTS5 has a price per transaction that is several times the one per message. So messages are indexed
some hundreds at a time, in the transaction that makes it so many; ``search_state.through`` says how
far the index goes, and a search reads the few messages after it themselves. Nothing is lost by a
crash: what is not indexed is after ``through``.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final

import msgspec

from mcp_node.log.migrations import Migrations
from mcp_node.log.sql import Connection, Engine
from mcp_node.log.transaction import Companion
from mcp_node.search import fts5, tsvector
from mcp_node.search.fts5 import FTS5
from mcp_node.search.terms import Statements, scoped, senders
from mcp_node.search.tsvector import TSVECTOR
from mcp_node.search.words import is_known, words
from proto.messages import Message

EVERYWHERE: Final = ""
"""Stands for all sessions in the wide scopes; no session has that id."""

REMEMBERED_WORDS: Final = 300_000
"""Words of all scopes that the writer knows to be in the vocabulary; beyond, it starts over."""

DUE_MESSAGES: Final = 256
DUE_CHARS: Final = 1_048_576
"""When messages that are not indexed yet are: as soon as there are so many, or so long ones."""

REMEMBERED_SCOPES: Final = 20_000
"""Scopes whose numbers it knows."""

_PAGE: Final = 1_000
_SOON_DONE: Final = 50_000

logger = logging.getLogger(__name__)

SEARCH_SCHEMA: Final = (
    """
    CREATE TABLE search_scopes (
        id         INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL,
        audience   TEXT NOT NULL,
        UNIQUE (session_id, audience)
    ) STRICT
    """,
    """
    CREATE TABLE search_words (
        scope      INTEGER NOT NULL,
        message_id INTEGER NOT NULL,
        word       TEXT NOT NULL,
        PRIMARY KEY (scope, message_id, word)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE UNIQUE INDEX search_words_by_word ON search_words (scope, word)",
    # How far the index goes, and how many messages were taken out of it.
    "CREATE TABLE search_state (through INTEGER NOT NULL, removals INTEGER NOT NULL) STRICT",
    "INSERT INTO search_state VALUES (0, 0)",
)

_ADD_SCOPE: Final = (
    "INSERT INTO search_scopes (session_id, audience) VALUES (?, ?) ON CONFLICT DO NOTHING"
)
_UNINDEXED: Final = (
    "SELECT id, session_id, audience, sender, content FROM messages"
    " WHERE id > ? ORDER BY id LIMIT ?"
)
STATEMENTS: Final[Mapping[Engine, Statements]] = {"sqlite": FTS5, "postgresql": TSVECTOR}


class SearchIndex(Companion):
    """The writer's side of the index: counts what is not in it yet, and puts it in.

    What it remembers holds as long as nothing is rolled back: then `forget`.
    """

    def __init__(self) -> None:
        self._scopes: dict[tuple[str, str], int] = {}
        self._words: dict[int, set[str]] = {}
        self._remembered = 0
        self._removals = -1
        self._waiting = DUE_MESSAGES  # unknown: the first transaction looks
        self._waiting_chars = 0

    def forget(self) -> None:
        """Something was rolled back: know nothing any more."""
        self._scopes.clear()
        self._forget_words()
        self._waiting = DUE_MESSAGES

    def added(self, message: Message) -> None:
        """A message was added to the log."""
        self._waiting += 1
        self._waiting_chars += len(message.content)

    def finish(self, connection: Connection) -> None:
        """At the end of a transaction: index what waits, if it is enough.

        An index that fails must not keep the log from being written: it stays where it is, and
        searches fail once too much is behind it.
        """
        if self._waiting < DUE_MESSAGES and self._waiting_chars < DUE_CHARS:
            return
        connection.execute("SAVEPOINT search")
        self._waiting = self._waiting_chars = 0
        try:
            if self.catch_up(connection, pages=2):
                self._waiting = DUE_MESSAGES
        except Exception as error:
            if not connection.in_transaction:  # SQLite rolled back everything
                raise
            connection.execute("ROLLBACK TO search")
            self.forget()
            self._waiting = 0
            logger.error("messages cannot be indexed: %s", type(error).__name__)
        connection.execute("RELEASE search")

    def catch_up(self, connection: Connection, pages: int | None = None) -> bool:
        """Index what is not indexed, in the transaction under way; whether something is left.

        Args:
            connection: of the writer.
            pages: stop after so many thousand messages.
        """
        through, removals = connection.execute(
            "SELECT through, removals FROM search_state"
        ).fetchone()
        if removals != self._removals:  # words may have gone with their last message
            self._removals = removals
            self._forget_words()
        for _ in count() if pages is None else range(pages):
            rows = connection.execute(_UNINDEXED, (through, _PAGE)).fetchall()
            if rows:
                self._add(connection, rows)
                through = rows[-1][0]
                connection.execute("UPDATE search_state SET through = ?", (through,))
            if len(rows) < _PAGE:
                return False
        return True

    def _add(self, connection: Connection, rows: Sequence[Any]) -> None:
        """Two statements however many messages: between statements the thread may have to wait."""
        terms: dict[int, str] = {}
        new: list[tuple[int, int, str]] = []
        for id_, session_id, audience, sender, content in rows:
            if not content:
                continue
            found = set(words(content))
            near = self._scope(connection, session_id, audience)
            wide = self._scope(connection, EVERYWHERE, audience)
            terms[id_] = scoped([*found, *senders(sender)], near, wide)
            new += [(wide, id_, word) for word in self._unknown(wide, found)]
        statements = STATEMENTS[connection.engine]
        connection.execute(statements.add_terms, (msgspec.json.encode(terms).decode(),))
        if new:
            connection.execute(statements.add_words, (msgspec.json.encode(new).decode(),))

    def _scope(self, connection: Connection, session_id: str, audience: str) -> int:
        scope = self._scopes.get((session_id, audience))
        if scope is None:
            scope = _stored_scope(connection, session_id, audience)
            if len(self._scopes) >= REMEMBERED_SCOPES:
                self._scopes.clear()
            self._scopes[session_id, audience] = scope
        return scope

    def _unknown(self, scope: int, found: set[str]) -> list[str]:
        """Those that are not known to be in the vocabulary; from now on they are."""
        if self._remembered > REMEMBERED_WORDS:
            self._forget_words()
        known = self._words.setdefault(scope, set())
        unknown = found - known
        known |= unknown
        self._remembered += len(unknown) + 1
        return [word for word in unknown if is_known(word)]

    def _forget_words(self) -> None:
        self._words.clear()
        self._remembered = 0


def _stored_scope(connection: Connection, session_id: str, audience: str) -> int:
    named = (session_id, audience)
    connection.execute(_ADD_SCOPE, named)
    (scope,) = connection.execute(
        "SELECT id FROM search_scopes WHERE session_id = ? AND audience = ?", named
    ).fetchone()
    return int(scope)


def index_everything(connection: Connection) -> None:
    """Index all that is not, in the transaction under way; a minute or two for a million."""
    (last,) = connection.execute("SELECT ifnull(max(id), 0) FROM messages").fetchone()
    if last > _SOON_DONE:
        logger.warning("indexing up to %d messages for search, once; the node waits for it", last)
    SearchIndex().catch_up(connection)


MIGRATIONS: Final[Migrations] = {7: (*SEARCH_SCHEMA, *fts5.SCHEMA, index_everything)}
POSTGRES_MIGRATIONS: Final[Migrations] = {7: (*SEARCH_SCHEMA, *tsvector.SCHEMA)}
