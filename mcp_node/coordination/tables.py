"""The tables of claims, notes and statuses."""

from typing import Final

from mcp_node.log.migrations import Migrations

# `token_id` and `issued_at` are of the token with which a name was claimed: when it is revoked, the
# claim ends. Times are seconds of Unix time.
MIGRATIONS: Final[Migrations] = {
    12: (
        """
        CREATE TABLE claims (
            session_id TEXT NOT NULL REFERENCES sessions (session_id),
            name       TEXT NOT NULL,
            principal  TEXT NOT NULL,
            token_id   TEXT NOT NULL,
            issued_at  INTEGER NOT NULL,
            note       TEXT NOT NULL,
            expires_at REAL NOT NULL,
            PRIMARY KEY (session_id, name)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX claims_by_principal ON claims (principal, expires_at)",
        "CREATE INDEX claims_by_expiry ON claims (expires_at)",
        # Each version of a note is a row; the highest is its text now.
        """
        CREATE TABLE notes (
            session_id TEXT NOT NULL REFERENCES sessions (session_id),
            key        TEXT NOT NULL,
            version    INTEGER NOT NULL,
            principal  TEXT NOT NULL,
            at         TEXT NOT NULL,
            text       TEXT NOT NULL,
            PRIMARY KEY (session_id, key, version)
        ) STRICT
        """,
        # What somebody says of itself until a time, and when it left; timestamps.
        """
        CREATE TABLE statuses (
            session_id TEXT NOT NULL REFERENCES sessions (session_id),
            principal  TEXT NOT NULL,
            text       TEXT NOT NULL,
            until      TEXT NOT NULL,
            left_at    TEXT,
            PRIMARY KEY (session_id, principal)
        ) STRICT, WITHOUT ROWID
        """,
    ),
}
