"""The index of search in SQLite: an FTS5 table without content, positions or sizes.

A message's row is its id and its terms. FTS5 has a price per transaction that is several times the
one per message, which is why messages are indexed some hundreds at a time.
"""

import sqlite3
from typing import Final

from mcp_node.search.terms import Statements, terms_of

# A word whose message goes belongs to the newest one that holds it, which pruning reaches last, or
# to none (0).
_SCOPES: Final = """
    search_scopes AS near, search_scopes AS wide
    WHERE near.session_id = OLD.session_id AND near.audience = OLD.audience
    AND wide.session_id = '' AND wide.audience = OLD.audience
"""
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

SCHEMA: Final = (
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

FTS5: Final = Statements(
    add_terms=(
        "INSERT INTO search (rowid, terms) SELECT CAST(key AS INTEGER), value FROM json_each(?)"
    ),
    add_words=(
        "INSERT OR IGNORE INTO search_words (scope, message_id, word)"
        " SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)"
    ),
    tables="search AS f CROSS JOIN messages AS m ON m.id = f.rowid",
    key="rowid",
    matches="search MATCH :expression AND f.rowid BETWEEN :low AND :high",
    occurs="SELECT 1 FROM search WHERE search MATCH ? LIMIT 1",
    either=" OR ",
    both=" AND ",
    quote='"',
)


def add_search_functions(connection: sqlite3.Connection) -> None:
    """Give a connection the function that the triggers on messages call.

    Whatever empties or removes messages needs it; without it SQLite refuses the statement.
    """
    connection.create_function("search_terms", 4, terms_of, deterministic=True)
