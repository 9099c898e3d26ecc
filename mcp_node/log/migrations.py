"""The tables, as numbered migrations."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from mcp_node.search.index import SEARCH_SCHEMA, index_everything
from proto.visibility import SQL_AUDIENCE_KEY, SQL_REPLY_FITS

Step = str | Callable[[sqlite3.Connection], None]
"""A statement, or what takes more than one: it runs in the migration's transaction."""

MIGRATIONS: Final[Sequence[Sequence[Step]]] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
        "INSERT INTO meta VALUES ('epoch', lower(hex(randomblob(16))))",
        """
        CREATE TABLE sessions (
            session_id TEXT PRIMARY KEY CHECK (length(session_id) BETWEEN 1 AND 64),
            purpose    TEXT NOT NULL,
            metadata   TEXT NOT NULL CHECK (json_valid(metadata)),
            created_by TEXT NOT NULL,
            created_at TEXT NOT NULL CHECK (length(created_at) = 27)
        ) STRICT
        """,
        # What heads() looks at stands before content: a long row's overflow pages stay unread.
        f"""
        CREATE TABLE messages (
            id          INTEGER PRIMARY KEY CHECK (id > 0),
            prev        INTEGER NOT NULL CHECK (prev >= 0 AND prev < id),
            session_id  TEXT NOT NULL REFERENCES sessions (session_id),
            principal   TEXT NOT NULL,
            sender      TEXT NOT NULL,
            sender_type TEXT NOT NULL,
            visibility  TEXT NOT NULL
                CHECK (visibility IN ('public', 'private', 'agent_only', 'admin_only')),
            timestamp   TEXT NOT NULL CHECK (length(timestamp) = 27),
            parent_message_id INTEGER REFERENCES messages (id) CHECK (parent_message_id < id),
            metadata    TEXT NOT NULL CHECK (json_valid(metadata)),
            content     TEXT NOT NULL,
            audience    TEXT NOT NULL GENERATED ALWAYS AS ({SQL_AUDIENCE_KEY}) VIRTUAL
        ) STRICT
        """,
        "CREATE INDEX messages_by_session ON messages (session_id, id)",
        "CREATE INDEX messages_by_audience ON messages (session_id, audience, id)",
    ),
    (
        """
        CREATE TABLE idempotency (
            session_id TEXT NOT NULL REFERENCES sessions (session_id),
            principal  TEXT NOT NULL,
            key        TEXT NOT NULL,
            message_id INTEGER NOT NULL REFERENCES messages (id),
            PRIMARY KEY (session_id, principal, key)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE revocations (
            number       INTEGER PRIMARY KEY,
            token_id     TEXT,
            agent_id     TEXT,
            issued_until INTEGER NOT NULL,
            CHECK ((token_id IS NULL) <> (agent_id IS NULL))
        ) STRICT
        """,
        "CREATE TABLE starts (at REAL NOT NULL, head INTEGER NOT NULL) STRICT",
        "CREATE INDEX sessions_by_maker ON sessions (created_by)",
    ),
    ("CREATE INDEX messages_by_sender ON messages (session_id, audience, sender, id)",),
    # What agents do in a session. `deletes`: this entry of the log deletes that message;
    # `deleted_at`: this message was deleted, its texts are empty.
    (
        "ALTER TABLE messages ADD COLUMN deletes INTEGER",
        "ALTER TABLE messages ADD COLUMN deleted_at TEXT",
        # By these a message that is pruned finds what refers to it.
        """
        CREATE INDEX messages_by_parent ON messages (parent_message_id)
            WHERE parent_message_id IS NOT NULL
        """,
        "CREATE INDEX idempotency_by_message ON idempotency (message_id)",
        "ALTER TABLE sessions ADD COLUMN closed_at TEXT",
        # Limits of one session; NULL: the server's own (proto/settings.py), 0: none.
        "ALTER TABLE sessions ADD COLUMN messages_per_minute INTEGER",
        "ALTER TABLE sessions ADD COLUMN agent_messages INTEGER",
        # How many messages of each audience key a session has, the last of them, and the latest
        # time. Deleted ones and the entries that delete are not counted; a time stays.
        """
        CREATE TABLE tallies (
            session_id TEXT NOT NULL REFERENCES sessions (session_id),
            audience   TEXT NOT NULL,
            messages   INTEGER NOT NULL,
            last_id    INTEGER NOT NULL,
            last_at    TEXT NOT NULL,
            PRIMARY KEY (session_id, audience)
        ) STRICT, WITHOUT ROWID
        """,
        """
        INSERT INTO tallies
        SELECT session_id, audience, count, last_id,
            (SELECT timestamp FROM messages WHERE id = last_id)
        FROM (SELECT session_id, audience, count(*) AS count, max(id) AS last_id
            FROM messages GROUP BY session_id, audience)
        """,
        "CREATE INDEX tallies_by_time ON tallies (audience, last_at DESC, session_id)",
        "CREATE INDEX sessions_by_time ON sessions (created_at DESC, session_id)",
        # `name` in lower case, as it was mentioned: a principal, or principal/label.
        """
        CREATE TABLE mentions (
            session_id TEXT NOT NULL REFERENCES sessions (session_id),
            name       TEXT NOT NULL,
            message_id INTEGER NOT NULL REFERENCES messages (id),
            PRIMARY KEY (session_id, name, message_id)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX mentions_by_message ON mentions (message_id)",
        # Who was in a session. `position`: how far it has read, NULL if it has not; the first
        # page it read began after `joined_after`; mentions up to `mentions_through` were given
        # to it out of turn.
        """
        CREATE TABLE readers (
            session_id   TEXT NOT NULL REFERENCES sessions (session_id),
            principal    TEXT NOT NULL,
            agent_type   TEXT NOT NULL,
            is_admin     INTEGER NOT NULL,
            first_seen   TEXT NOT NULL,
            last_seen    TEXT NOT NULL,
            joined_after INTEGER,
            position     INTEGER,
            mentions_through INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (session_id, principal)
        ) STRICT, WITHOUT ROWID
        """,
        # When a reader's position (or, by mention, what it was given out of turn) came to be
        # what it was.
        """
        CREATE TABLE advances (
            session_id TEXT NOT NULL REFERENCES sessions (session_id),
            principal  TEXT NOT NULL,
            position   INTEGER NOT NULL,
            by_mention INTEGER NOT NULL,
            at         TEXT NOT NULL,
            PRIMARY KEY (session_id, principal, by_mention, position)
        ) STRICT, WITHOUT ROWID
        """,
        # A human's word, by which the guard against loops counts.
        """
        CREATE INDEX messages_by_humans ON messages (session_id, id) WHERE sender_type = 'human'
        """,
    ),
    # A principal's memory; `session_id` is empty for what belongs to no session, `value` is JSON
    # and stands last, so that looking at the rest reads none of a long one. `bytes` are those of
    # the value. Times are seconds of Unix time; `expires_at` NULL: never.
    (
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
    # Links for people. The code itself is kept nowhere: `code_hash` is its SHA-256. `minted_with`:
    # id of its minter's token; `token_id`: of the token that a login link gave.
    (
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
    (*SEARCH_SCHEMA, index_everything),
    # What an erased message said, as a keyed digest (mcp_node/sessions/digests.py); NULL while it
    # has its text, and for what was erased before there were digests.
    ("ALTER TABLE idempotency ADD COLUMN digest BLOB",),
    # Replies that more may see than their parent showed its id to them; such are refused now.
    (
        f"""
        UPDATE messages AS reply SET parent_message_id = NULL
        WHERE parent_message_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM messages AS parent
            WHERE parent.id = reply.parent_message_id AND {SQL_REPLY_FITS}
        )
        """,
    ),
    # What was given out of turn is read, entry by entry: a row of `advances` each, so that nothing
    # needs to be known of the last of them. Deletions are news, and found without a scan.
    (
        "ALTER TABLE advances RENAME COLUMN by_mention TO out_of_turn",
        "ALTER TABLE readers DROP COLUMN mentions_through",
        """
        CREATE INDEX messages_by_deletion ON messages (session_id, deletes)
            WHERE deletes IS NOT NULL
        """,
    ),
)
"""Statements of each version, in order. Never edit one that was released: add the next."""
