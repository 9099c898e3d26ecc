"""The table of mentions, kept in step with the log; and advances that pruning makes useless.

A message calls those whom its text mentions, and a reply also calls the author of its parent.
"""

from typing import Final

import msgspec

from mcp_node.inbox.mentions import mentioned
from mcp_node.log.sql import Connection, numbers
from mcp_node.log.transaction import Companion, Transaction
from proto.messages import ANONYMOUS, Message

INSERT: Final = (
    "INSERT INTO mentions (session_id, name, message_id) VALUES (?, ?, ?)"
    " ON CONFLICT (session_id, name, message_id) DO NOTHING"
)
INSERT_REPLIED: Final = f"""
    INSERT INTO mentions (session_id, name, message_id)
    SELECT reply.session_id, lower(parent.principal), reply.id
    FROM messages AS reply CROSS JOIN messages AS parent ON parent.id = reply.parent_message_id
    WHERE reply.id IN {numbers(":ids")} AND parent.principal <> reply.principal
    AND parent.principal <> '{ANONYMOUS}'
    ON CONFLICT (session_id, name, message_id) DO NOTHING
"""
ERASE: Final = "DELETE FROM mentions WHERE message_id = ?"
UNMENTION: Final = """
    DELETE FROM mentions WHERE message_id = :id
    AND name IN (SELECT value FROM json_each(:before))
    AND name NOT IN (SELECT value FROM json_each(:now))
"""
PRUNE: Final = f"DELETE FROM mentions WHERE message_id IN {numbers(':ids')}"
# An advance below the oldest remaining message is in no message's receipts.
UNADVANCE: Final = """
    DELETE FROM advances WHERE (session_id, principal, out_of_turn, position) IN (
        SELECT a.session_id, a.principal, a.out_of_turn, a.position
        FROM readers AS r JOIN advances AS a USING (session_id, principal)
        WHERE r.session_id = :session AND a.out_of_turn IN (0, 1)
        AND a.position < (SELECT min(id) FROM messages WHERE session_id = :session)
    )
"""


class Mentions(Companion):
    """Keeps the table of mentions: collects a transaction's mentions and writes them at its end."""

    def __init__(self) -> None:
        self._new: list[tuple[str, str, int]] = []
        self._replies: list[int] = []

    def added(self, message: Message) -> None:
        """Collect the mentions of a new message."""
        if message.about is not None:
            return
        self._new += [(message.session_id, name, message.id) for name in mentioned(message.content)]
        if message.parent_message_id is not None:
            self._replies.append(message.id)

    def erasing(self, transaction: Transaction, message: Message) -> None:
        """Delete the mentions of a deleted message."""
        transaction.write(ERASE, (message.id,))

    def editing(self, transaction: Transaction, message: Message, edit: Message) -> None:
        """Replace the mentions of an edited message; the edit calls those it mentions anew."""
        before = mentioned(message.content)
        for name in mentioned(edit.content):
            if name not in before:
                self._new.append((message.session_id, name, message.id))
                self._new.append((message.session_id, name, edit.id))
        kept = msgspec.json.encode(mentioned(edit.content)).decode()
        gone = msgspec.json.encode(before).decode()
        transaction.write(UNMENTION, {"id": message.id, "before": gone, "now": kept})
        if message.parent_message_id is not None:  # its text may have called whom it answers
            self._replies.append(message.id)

    def pruning(self, transaction: Transaction, ids: str) -> None:
        """Delete the mentions of pruned messages."""
        transaction.write(PRUNE, {"ids": ids})

    def pruned(self, transaction: Transaction, session_id: str) -> None:
        """Delete advances to positions below the session's remaining messages."""
        transaction.write(UNADVANCE, {"session": session_id})

    def finish(self, connection: Connection) -> None:
        """Insert the collected mentions."""
        if self._new:
            new, self._new = self._new, []
            connection.executemany(INSERT, new)
        if self._replies:
            replies, self._replies = self._replies, []
            connection.execute(INSERT_REPLIED, {"ids": msgspec.json.encode(replies).decode()})

    def forget(self) -> None:
        """Drop the mentions of a transaction that was rolled back."""
        self._new.clear()
        self._replies.clear()
