"""Whether others have spoken since the last message that an author has seen."""

from functools import partial
from typing import Final

from mcp_node.log.transaction import Transaction
from mcp_node.sessions.reads import PageQuery, page
from proto.errors import InvalidInput, MovedOn
from proto.messages import Audience

TOLD: Final = 20
"""The most messages that `MovedOn` contains."""

LOOKED_AT: Final = 200
"""The most messages that are read to find others' among them: the writer waits for it."""


def check_not_moved_on(
    transaction: Transaction, session_id: str, author: Audience, last_seen: int
) -> None:
    """Refuse if others have added messages after an id. Deletions do not count.

    Only what the author may see is looked at, so the answer tells nothing of anything else.

    Args:
        transaction: the one in which the author's message is added.
        session_id: the session.
        author: who has seen everything up to ``last_seen``.
        last_seen: the id.

    Raises:
        MovedOn: they have; it contains the first of these messages.
        InvalidInput: too many of the author's own messages follow the id to tell.
    """
    if transaction.last_of(session_id) <= last_seen:
        return
    query = PageQuery(session_id, last_seen, None, LOOKED_AT)
    found = transaction.look(session_id, partial(page, audience=author, query=query))
    others = [
        message
        for message in found.messages
        if message.principal != author.agent_id and not message.deleted
    ]
    if others:
        has_more = found.has_more or len(others) > TOLD
        raise MovedOn(messages=others[:TOLD], has_more=has_more)
    if found.has_more:
        raise InvalidInput("if_last_seen is too far back.", "Pass the highest id you have seen.")
