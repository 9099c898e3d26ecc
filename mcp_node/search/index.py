"""The search index: its tables, and how messages are added to it.

A message is indexed under two *scopes*: its audience key within its session (*near*), and its
audience key in all sessions (*wide*). Every term begins with the id of its scope: ``12_hello`` and
``3_hello`` for a word, ``12_@claude-main`` for the sender. So a search reads only posting lists of
messages that its reader may see. Other messages share no posting list, vocabulary or count with
them, and can neither slow the search down nor show in its results.

``search`` is an FTS5 table without content, positions and sizes. Its rowid is the message's id; the
content of a hit is read from ``messages`` and matched again. ``search_words`` has each word once
per wide scope, with a message that contains it, for `mcp_node.search.vocabulary`. Triggers remove a
message from both when its content is erased or its row deleted. FTS5 records the removal at once,
and drops the bytes when it next merges that part of the index.

FTS5 costs several times more per transaction than per message. Messages are therefore indexed
some hundreds at a time, in the transaction that completes a batch. ``search_state.through`` is the
last indexed id; a search reads the few messages after it directly. A crash loses nothing: what is
not indexed has an id above ``through``.
"""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, Final

import msgspec

from mcp_node.log.migrations import Migrations
from mcp_node.log.transaction import Companion
from mcp_node.search.words import is_known, words
from proto.messages import Message

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

_SCOPES: Final = """
    search_scopes AS near, search_scopes AS wide
    WHERE near.session_id = OLD.session_id AND near.audience = OLD.audience
    AND wide.session_id = '' AND wide.audience = OLD.audience
"""
# A word in `search_words` whose message is removed is assigned to the newest other message that
# contains it, which pruning reaches last. If there is none it gets 0 and is deleted.
_LEAVE: Final = f"""
    INSERT INTO search (search, rowid, terms)
    SELECT 'delete', OLD.id, search_terms(OLD.content, OLD.sender, near.id, wide.id) FROM {_SCOPES};
    UPDATE search_words SET message_id = ifnull(
        (SELECT rowid FROM search WHERE search MATCH '"' || scope || '_' || word || '"'
         ORDER BY rowid DESC LIMIT 1), 0)
    WHERE message_id = OLD.id AND scope = (SELECT wide.id FROM {_SCOPES});
    DELETE FROM search_words WHERE message_id = 0 AND scope = (SELECT wide.id FROM {_SCOPES});
    UPDATE search_state SET removals = removals + 1;
"""
_INDEXED: Final = "OLD.content <> '' AND OLD.id <= (SELECT through FROM search_state)"

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
    """
    CREATE VIRTUAL TABLE search USING fts5 (
        terms, content = '', columnsize = 0, detail = none, tokenize = "ascii tokenchars '_@./-'"
    )
    """,
    f"""
    CREATE TRIGGER search_emptied AFTER UPDATE OF content ON messages WHEN {_INDEXED}
    BEGIN {_LEAVE} END
    """,
    f"""
    CREATE TRIGGER search_removed AFTER DELETE ON messages WHEN {_INDEXED}
    BEGIN {_LEAVE} END
    """,
)

_UNINDEXED: Final = (
    "SELECT id, session_id, audience, sender, content FROM messages"
    " WHERE id > ? ORDER BY id LIMIT ?"
)
_ADD_TERMS: Final = (
    "INSERT INTO search (rowid, terms) SELECT CAST(key AS INTEGER), value FROM json_each(?)"
)
_ADD_WORDS: Final = (
    "INSERT OR IGNORE INTO search_words (scope, message_id, word)"
    " SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)"
)


def add_search_functions(connection: sqlite3.Connection) -> None:
    """Register the function that the triggers on ``messages`` call.

    Any connection that erases or deletes messages needs it; SQLite refuses the statement otherwise.
    """
    connection.create_function("search_terms", 4, _removed_terms, deterministic=True)


def senders(sender: str) -> list[str]:
    """The index terms of a sender: its name, and for ``main/label`` also ``main``."""
    main, slash, _ = sender.partition("/")
    return [f"@{sender}", f"@{main}"] if slash else [f"@{sender}"]


def _removed_terms(content: str, sender: str, near: int, wide: int) -> str:
    return _terms({*words(content), *senders(sender)}, near, wide)


def _terms(found: Iterable[str], near: int, wide: int) -> str:
    text = " ".join(found)
    return f"{near}_{text.replace(' ', f' {near}_')} {wide}_{text.replace(' ', f' {wide}_')}"


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

    def finish(self, connection: sqlite3.Connection) -> None:
        """Called at the end of a transaction: index new messages if a batch is complete.

        A failure of the index must not fail the transaction. The index then stays where it is, and
        searches fail once it is too far behind.
        """
        if self._waiting < DUE_MESSAGES and self._waiting_chars < DUE_CHARS:
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

    def catch_up(self, connection: sqlite3.Connection, pages: int | None = None) -> bool:
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

    def _add(self, connection: sqlite3.Connection, rows: Sequence[Any]) -> None:
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
            terms[id_] = _terms([*found, *senders(sender)], near, wide)
            new += [(wide, id_, word) for word in self._unknown(wide, found)]
        connection.execute(_ADD_TERMS, (msgspec.json.encode(terms).decode(),))
        if new:
            connection.execute(_ADD_WORDS, (msgspec.json.encode(new).decode(),))

    def _scope(self, connection: sqlite3.Connection, session_id: str, audience: str) -> int:
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


def _stored_scope(connection: sqlite3.Connection, session_id: str, audience: str) -> int:
    named = (session_id, audience)
    connection.execute("INSERT OR IGNORE INTO search_scopes VALUES (NULL, ?, ?)", named)
    (scope,) = connection.execute(
        "SELECT id FROM search_scopes WHERE session_id = ? AND audience = ?", named
    ).fetchone()
    return int(scope)


def index_everything(connection: sqlite3.Connection) -> None:
    """Migration step: index all messages. A million takes a minute or two."""
    (last,) = connection.execute("SELECT ifnull(max(id), 0) FROM messages").fetchone()
    if last > _WORTH_A_WARNING:
        logger.warning("indexing up to %d messages for search; the node starts afterwards", last)
    SearchIndex().catch_up(connection)


MIGRATIONS: Final[Migrations] = {7: (*SEARCH_SCHEMA, index_everything)}
