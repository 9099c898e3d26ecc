"""The search index: its tables, and how messages are added to it.

A message is indexed under two *scopes*: its audience key within its session (*near*), and its
audience key in all sessions (*wide*). Every term begins with the id of its scope: ``12_hello`` and
``3_hello`` for a word, ``12_@claude-main`` for the sender. So a search reads only posting lists of
messages that its reader may see. Other messages share no posting list, vocabulary or count with
them, and can neither slow the search down nor show in its results.

``search`` has the terms of each message, in SQLite (`mcp_node.search.fts5`) or PostgreSQL
(`mcp_node.search.tsvector`). The content of a hit is read from ``messages`` and matched again.
``search_words`` has each word once
per wide scope, with a message that contains it, for `mcp_node.search.vocabulary`. Triggers remove a
message from both when its content is erased or its row deleted. FTS5 records the removal at once,
and drops the bytes when it next merges that part of the index.

FTS5 costs several times more per transaction than per message. Messages are therefore indexed
some hundreds at a time, in the transaction that completes a batch. ``search_state.through`` is the
last indexed id; a search reads the few messages after it directly. A crash loses nothing: what is
not indexed has an id above ``through``.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final

import msgspec

from mcp_node.log.migrations import Migrations
from mcp_node.log.sql import Connection, Engine
from mcp_node.log.transaction import Companion, Transaction
from mcp_node.search import fts5, tsvector
from mcp_node.search.fts5 import FTS5
from mcp_node.search.terms import Statements, scoped, senders
from mcp_node.search.tsvector import TSVECTOR
from mcp_node.search.words import is_known, words
from proto.messages import Message
from proto.visibility import audience_key

EVERYWHERE: Final = ""
"""The session id of wide scopes. No session has this id."""

REMEMBERED_WORDS: Final = 300_000
"""Limit on words remembered to be in ``search_words``. Beyond it, all are forgotten."""

DUE_MESSAGES: Final = 256
DUE_CHARS: Final = 1_048_576
"""Messages are indexed as soon as this many, or messages with this many characters, are not."""

REMEMBERED_SCOPES: Final = 20_000
"""Limit on scopes whose ids are remembered. Beyond it, all are forgotten."""

_PAGE: Final = 1_000
_WORTH_A_WARNING: Final = 50_000

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
    # The last indexed id, and how many messages were removed from the index.
    "CREATE TABLE search_state (through INTEGER NOT NULL, removals INTEGER NOT NULL) STRICT",
    "INSERT INTO search_state VALUES (0, 0)",
)

_UNINDEXED: Final = (
    "SELECT id, session_id, audience, sender, content FROM messages"
    " WHERE id > ? ORDER BY id LIMIT ?"
)
_ADD_SCOPE: Final = (
    "INSERT INTO search_scopes (session_id, audience) VALUES (?, ?) ON CONFLICT DO NOTHING"
)
STATEMENTS: Final[Mapping[Engine, Statements]] = {"sqlite": FTS5, "postgresql": TSVECTOR}


class SearchIndex(Companion):
    """Keeps the index in step with the log: counts new messages and indexes them in batches.

    It remembers which words and scopes are stored, which saves most of the writes.
    """

    def __init__(self) -> None:
        self._scopes: dict[tuple[str, str], int] = {}
        self._words: dict[int, set[str]] = {}
        self._remembered = 0
        self._removals = -1
        self._waiting = DUE_MESSAGES  # unknown yet, so the first transaction checks
        self._waiting_chars = 0

    def forget(self) -> None:
        """Called after a rollback: discard everything remembered."""
        self._scopes.clear()
        self._forget_words()
        self._waiting = DUE_MESSAGES

    def added(self, message: Message) -> None:
        """Called when a message was added to the log."""
        self._waiting += 1
        self._waiting_chars += len(message.content)

    def edited(self, transaction: Transaction, message: Message) -> None:
        """Called when a message has new texts: the trigger removed its terms, if there were any."""
        (through,) = transaction.read("SELECT through FROM search_state").fetchone()
        if message.id > through:
            return
        self._forget_words()  # those of the old text are perhaps stored no more
        key = audience_key(message.visibility, message.principal, message.sender_type)
        row = (message.id, message.session_id, key, message.sender, message.content)
        transaction.look(message.session_id, lambda connection: self._add(connection, [row]))

    def finish(self, connection: Connection) -> None:
        """Called at the end of a transaction: index new messages if a batch is complete.

        A failure of the index must not fail the transaction. The index then stays where it is, and
        searches fail once it is too far behind.
        """
        if not self.reads_to_finish:
            return
        connection.execute("SAVEPOINT search")
        self._waiting = self._waiting_chars = 0
        try:
            if self.catch_up(connection, pages=2):
                self._waiting = DUE_MESSAGES
        except Exception as error:
            if not connection.in_transaction:  # SQLite rolled back the whole transaction
                raise
            connection.execute("ROLLBACK TO search")
            self.forget()
            self._waiting = 0  # try again with the next batch, not with the next transaction
            logger.error("messages cannot be indexed: %s", type(error).__name__)
        connection.execute("RELEASE search")

    @property
    def reads_to_finish(self) -> bool:
        """Whether a batch is complete, so that `finish` reads its messages."""
        return self._waiting >= DUE_MESSAGES or self._waiting_chars >= DUE_CHARS

    def catch_up(self, connection: Connection, pages: int | None = None) -> bool:
        """Index new messages in the current transaction; return whether some are left.

        Args:
            connection: of the writer.
            pages: stop after so many thousand messages; None: index all.
        """
        through, removals = connection.execute(
            "SELECT through, removals FROM search_state"
        ).fetchone()
        if removals != self._removals:  # words were perhaps removed with their last message
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
        # Two statements for any number of messages: after each statement the thread has to wait
        # for the GIL again.
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
        """Those that may not be in the vocabulary yet. They are remembered to be from now on."""
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
    """Migration step: index all messages. A million takes a minute or two."""
    (last,) = connection.execute("SELECT ifnull(max(id), 0) FROM messages").fetchone()
    if last > _WORTH_A_WARNING:
        logger.warning("indexing up to %d messages for search; the node starts afterwards", last)
    SearchIndex().catch_up(connection)


MIGRATIONS: Final[Migrations] = {7: (*SEARCH_SCHEMA, *fts5.SCHEMA, index_everything)}
POSTGRES_MIGRATIONS: Final[Migrations] = {7: (*SEARCH_SCHEMA, *tsvector.SCHEMA)}
