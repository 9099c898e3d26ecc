"""Reading the earlier texts of an edited message: those that the reader saw."""

from typing import Final

import msgspec

from mcp_node.log.messages import COLUMNS, message_from_row
from mcp_node.log.sql import Connection
from proto.errors import MessageNotFound
from proto.messages import MAX_ID, Audience, Message
from proto.visibility import may_see

_MESSAGE: Final = (
    f"SELECT {COLUMNS} FROM messages WHERE id = ? AND session_id = ? AND deletes IS NULL"
)
_OF: Final = (
    "SELECT number, content, metadata, since FROM revisions"
    " WHERE message_id = ? AND replaced_at > ? ORDER BY number"
)
# When a reader was given a message: by its position, unless the message was there before it
# joined; or out of turn.
_GIVEN: Final = """
    SELECT min(a.at) FROM readers AS r JOIN advances AS a USING (session_id, principal)
    WHERE r.session_id = :session AND r.principal = :reader AND (
        a.out_of_turn = 1 AND a.position = :message
        OR a.out_of_turn = 0 AND a.position >= :message AND ifnull(r.joined_after, 0) < :message
    )
"""


def revisions(
    connection: Connection, session_id: str, audience: Audience, message_id: int
) -> list[Message]:
    """A message with each of its texts that a reader saw, oldest first; the last is today's.

    Its author saw all of them. Anybody else saw those that were current when it was given the
    message, or later.

    Raises:
        MessageNotFound: the session has no such message that the reader may see.
    """
    row = connection.execute(_MESSAGE, (min(message_id, MAX_ID), session_id)).fetchone()
    message = None if row is None else message_from_row(row)
    if message is None or not may_see(
        audience, message.visibility, message.principal, message.sender_type
    ):
        raise MessageNotFound
    if message.deleted:  # a node of the version before leaves the earlier texts in their table
        return [message]
    since: str | None = ""
    if audience.agent_id != message.principal:
        where = {"session": session_id, "reader": audience.agent_id, "message": message_id}
        (since,) = connection.execute(_GIVEN, where).fetchone()
    if since is None:
        return [message]
    rows = connection.execute(_OF, (message_id, since)).fetchall()
    return [*(_earlier(message, *row) for row in rows), message]


def _earlier(message: Message, number: int, content: str, metadata: str, at: str) -> Message:
    return msgspec.structs.replace(
        message,
        content=content,
        metadata=msgspec.Raw(metadata.encode()),
        edited_at=at if number > 1 else None,
    )
