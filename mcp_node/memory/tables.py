"""The table of memory."""

from typing import Final

from mcp_node.log.migrations import Migrations

# `session_id` is empty for an entry of no session. `value` is JSON and the last column, so that
# reading the others does not touch a long value's overflow pages; `bytes` is its size. Times are
# seconds of Unix time; `expires_at` is NULL for an entry that does not expire.
MIGRATIONS: Final[Migrations] = {
    5: (
        """
        CREATE TABLE memory (
            principal  TEXT NOT NULL,
            session_id TEXT NOT NULL,
            key        TEXT NOT NULL,
            bytes      INTEGER NOT NULL,
            updated_at REAL NOT NULL,
            expires_at REAL,
            value      TEXT NOT NULL CHECK (json_valid(value)),
            PRIMARY KEY (principal, session_id, key)
        ) STRICT
        """,
        # A covering index: a principal's total is computed without reading rows of the table.
        "CREATE INDEX memory_by_principal ON memory (principal, expires_at, bytes)",
        """
        CREATE INDEX memory_by_expiry ON memory (expires_at, bytes) WHERE expires_at IS NOT NULL
        """,
    ),
}

# SQLite numbers the rows of a table by itself: a row written later has a higher number.
POSTGRES_MIGRATIONS: Final[Migrations] = {
    5: ("ALTER TABLE memory ADD COLUMN rowid BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE",),
}
