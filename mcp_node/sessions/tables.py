"""The tables of sessions, idempotency keys and tallies."""

from typing import Final

from mcp_node.log.migrations import Migrations
from mcp_node.sessions.metadata_index import index_stored
from proto.visibility import SQL_REPLY_FITS

MIGRATIONS: Final[Migrations] = {
    1: (
        """
        CREATE TABLE sessions (
            session_id TEXT PRIMARY KEY CHECK (length(session_id) BETWEEN 1 AND 64),
            purpose    TEXT NOT NULL,
            metadata   TEXT NOT NULL CHECK (json_valid(metadata)),
            created_by TEXT NOT NULL,
            created_at TEXT NOT NULL CHECK (length(created_at) = 27)
        ) STRICT
        """,
    ),
    2: (
        """
        CREATE TABLE idempotency (
            session_id TEXT NOT NULL REFERENCES sessions (session_id),
            principal  TEXT NOT NULL,
            key        TEXT NOT NULL,
            message_id INTEGER NOT NULL REFERENCES messages (id),
            PRIMARY KEY (session_id, principal, key)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX sessions_by_maker ON sessions (created_by)",
    ),
    4: (
        "CREATE INDEX idempotency_by_message ON idempotency (message_id)",
        "ALTER TABLE sessions ADD COLUMN closed_at TEXT",
        # Limits of one session; NULL: the server's own (proto/settings), 0: none.
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
            FROM messages GROUP BY session_id, audience) AS counted
        """,
        "CREATE INDEX tallies_by_time ON tallies (audience, last_at DESC, session_id)",
        "CREATE INDEX sessions_by_time ON sessions (created_at DESC, session_id)",
    ),
    # What an erased message said, as a keyed digest (mcp_node/sessions/digests.py); NULL while it
    # has its text, and for what was erased before there were digests.
    8: ("ALTER TABLE idempotency ADD COLUMN digest BLOB",),
    # Replies that more may see than their parent showed its id to them; such are refused now.
    9: (
        f"""
        UPDATE messages AS reply SET parent_message_id = NULL
        WHERE parent_message_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM messages AS parent
            WHERE parent.id = reply.parent_message_id AND {SQL_REPLY_FITS}
        )
        """,
    ),
    11: (
        # Numbers the changes of sessions, for other nodes; 0: never closed or changed since there
        # are such numbers.
        "ALTER TABLE sessions ADD COLUMN changed INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX sessions_by_change ON sessions (changed) WHERE changed > 0",
        # Which messages have a value in their metadata (mcp_node/sessions/metadata_index.py). Nodes
        # of the version before delete messages without knowing of this table.
        """
        CREATE TABLE metadata_fields (
            session_id TEXT NOT NULL,
            audience   TEXT NOT NULL,
            digest     TEXT NOT NULL,
            message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
            PRIMARY KEY (session_id, audience, digest, message_id)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX metadata_fields_by_message ON metadata_fields (message_id, digest)",
        index_stored,
        # How many messages were added together under the key, `message_id` and those after it; then
        # `digest` is of all of them, from the beginning. NULL: one, by itself.
        "ALTER TABLE idempotency ADD COLUMN together INTEGER",
    ),
    12: (
        # The texts that edits replaced, numbered from 1; when they came, and were replaced.
        """
        CREATE TABLE revisions (
            message_id  INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
            number      INTEGER NOT NULL,
            content     TEXT NOT NULL,
            metadata    TEXT NOT NULL,
            since       TEXT NOT NULL,
            replaced_at TEXT NOT NULL,
            PRIMARY KEY (message_id, number)
        ) STRICT, WITHOUT ROWID
        """,
        # `entry_id`: the entry that added it.
        """
        CREATE TABLE reactions (
            message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
            reaction   TEXT NOT NULL,
            principal  TEXT NOT NULL,
            entry_id   INTEGER NOT NULL,
            PRIMARY KEY (message_id, reaction, principal)
        ) STRICT, WITHOUT ROWID
        """,
    ),
}
