"""The tables of mentions, read positions and receipts."""

from typing import Final

from mcp_node.log.migrations import Migrations

MIGRATIONS: Final[Migrations] = {
    4: (
        # `name` in lower case, as it was mentioned: a principal, or principal/label. A reply
        # also has the principal it replies to.
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
    ),
    # What was given out of turn is read, entry by entry: a row of `advances` each, so that nothing
    # needs to be known of the last of them. Deletions are news, and found without a scan.
    10: (
        "ALTER TABLE advances RENAME COLUMN by_mention TO out_of_turn",
        "ALTER TABLE readers DROP COLUMN mentions_through",
        """
        CREATE INDEX messages_by_deletion ON messages (session_id, deletes)
            WHERE deletes IS NOT NULL
        """,
    ),
    # Until when a reader waits for messages, as its node last said; NULL: it does not.
    11: ("ALTER TABLE readers ADD COLUMN waiting_until TEXT",),
}
