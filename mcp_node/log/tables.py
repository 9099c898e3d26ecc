"""The tables of the log: the messages, the epoch, and the openings of the database."""

from typing import Final

from mcp_node.log.migrations import Migrations
from proto.visibility import SQL_AUDIENCE_KEY

MIGRATIONS: Final[Migrations] = {
    1: (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
        "INSERT INTO meta VALUES ('epoch', lower(hex(randomblob(16))))",
        # The short columns come first: reading them does not touch a long row's overflow pages.
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
    2: ("CREATE TABLE starts (at REAL NOT NULL, head INTEGER NOT NULL) STRICT",),
    3: ("CREATE INDEX messages_by_sender ON messages (session_id, audience, sender, id)",),
    4: (
        "ALTER TABLE messages ADD COLUMN deletes INTEGER",
        "ALTER TABLE messages ADD COLUMN deleted_at TEXT",
        # Pruning a message looks up its replies.
        """
        CREATE INDEX messages_by_parent ON messages (parent_message_id)
            WHERE parent_message_id IS NOT NULL
        """,
        # The guard against loops counts messages since the last one by a human.
        """
        CREATE INDEX messages_by_humans ON messages (session_id, id) WHERE sender_type = 'human'
        """,
    ),
    12: (
        # What an entry is, if it has `deletes`, the message that it is about: NULL for a deletion.
        # (Deletions were the first such entries. The column keeps its name, so that nodes of the
        # version before never take an entry about a message for a message.)
        "ALTER TABLE messages ADD COLUMN kind TEXT CHECK (kind IN ('edit', 'reaction'))",
        "ALTER TABLE messages ADD COLUMN details TEXT",
        # The last edit of a message, which has the text that the message has now; and its time.
        "ALTER TABLE messages ADD COLUMN edited_by INTEGER",
        "ALTER TABLE messages ADD COLUMN edited_at TEXT",
        "ALTER TABLE messages ADD COLUMN reactions INTEGER NOT NULL DEFAULT 0",
    ),
    # Reading a thread looks up the replies that its reader may see.
    11: (
        "DROP INDEX messages_by_parent",
        """
        CREATE INDEX messages_by_reply ON messages (parent_message_id, audience, id)
            WHERE parent_message_id IS NOT NULL
        """,
    ),
}

POSTGRES_MIGRATIONS: Final[Migrations] = {
    # PostgreSQL checks a foreign key with a query for each row, which took two fifths of an
    # INSERT. Each message's transaction has looked its session up, and sessions are never deleted.
    #
    # Without statistics of these columns PostgreSQL expects few rows of a session and audience, and
    # reads their index. With them it would rather read a large log along its primary key and pass
    # over what is not asked for: slowly if there is little of it, and in a time that tells how
    # much there is that the reader may not see.
    11: (
        "ALTER TABLE messages DROP CONSTRAINT messages_session_id_fkey",
        *(
            f"ALTER TABLE messages ALTER {column} SET STATISTICS 0"
            for column in ("session_id", "audience", "sender")
        ),
    ),
}
"""Steps that only PostgreSQL needs."""
