"""The table of what principals remember."""

from typing import Final

from mcp_node.log.migrations import Migrations

# A principal's memory; `session_id` is empty for what belongs to no session, `value` is JSON
# and stands last, so that looking at the rest reads none of a long one. `bytes` are those of
# the value. Times are seconds of Unix time; `expires_at` NULL: never.
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
        # What a principal has, counted without reading a row of it.
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
