"""The tables of revocations and of links for people."""

from typing import Final

from mcp_node.log.migrations import Migrations

# A link's code is not stored; `code_hash` is its SHA-256. `minted_with` is the id of the minter's
# token, `token_id` that of the token a login link gave. A revocation names either one token, or an
# agent, whose tokens issued until `issued_until` it covers.
MIGRATIONS: Final[Migrations] = {
    2: (
        """
        CREATE TABLE revocations (
            number       INTEGER PRIMARY KEY,
            token_id     TEXT,
            agent_id     TEXT,
            issued_until INTEGER NOT NULL,
            CHECK ((token_id IS NULL) <> (agent_id IS NULL))
        ) STRICT
        """,
    ),
    6: (
        """
        CREATE TABLE links (
            link_id     TEXT PRIMARY KEY,
            code_hash   BLOB NOT NULL UNIQUE,
            kind        TEXT NOT NULL CHECK (kind IN ('login', 'live')),
            session_id  TEXT REFERENCES sessions (session_id),
            may_write   INTEGER NOT NULL,
            minted_by   TEXT NOT NULL,
            minted_with TEXT NOT NULL,
            token_id    TEXT,
            created_at  REAL NOT NULL,
            expires_at  REAL NOT NULL,
            redeemed_at REAL,
            revoked_at  REAL
        ) STRICT
        """,
        "CREATE INDEX links_by_minter ON links (minted_by)",
        "CREATE INDEX links_by_token ON links (minted_with)",
        "CREATE INDEX links_by_expiry ON links (expires_at)",
    ),
}
