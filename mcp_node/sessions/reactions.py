"""Reactions to messages: a word each instead of a message.

A principal has each reaction to a message at most once. A change is an entry of the log, which
calls and wakes nobody.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from mcp_node.log.sql import Connection, numbers
from mcp_node.log.transaction import Companion, Transaction
from mcp_node.sessions.find_message import entry_about, find_message
from mcp_node.sessions.states import SessionStates
from proto.errors import InvalidInput, SessionClosed, SessionNotFound
from proto.messages import Audience, Kind, Message

REACTIONS: Final = ("ack", "agree", "disagree", "done", "question", "thanks")

MOST_REACTIONS: Final = 1_000
"""The most reactions of one message."""

NAMES: Final = 20
"""How many names of those who reacted a page shows for each reaction."""

_ADD: Final = (
    "INSERT INTO reactions (message_id, reaction, principal, entry_id) VALUES (?, ?, ?, ?)"
)
_REMOVE: Final = "DELETE FROM reactions WHERE message_id = ? AND reaction = ? AND principal = ?"
_HAS: Final = "SELECT 1 FROM reactions WHERE message_id = ? AND reaction = ? AND principal = ?"
_COUNT: Final = "UPDATE messages SET reactions = reactions + ? WHERE id = ?"
_ERASE: Final = "DELETE FROM reactions WHERE message_id = ?"
_PRUNE: Final = f"DELETE FROM reactions WHERE message_id IN {numbers(':ids')}"
_OF: Final = (
    "SELECT message_id, reaction, principal FROM reactions"
    f" WHERE message_id IN {numbers(':ids')} ORDER BY message_id, entry_id"
)

Shown = dict[str, dict[str, Any]]
"""The reactions of a message as they are shown: of each, ``count`` and the first ``names``."""


class React:
    """Add or remove a reaction of a principal.

    Args:
        session_id: the message's session.
        message_id: the message.
        who: the principal.
        reaction: one of `REACTIONS`.
        remove: whether it is taken back.
    """

    size = 512

    def __init__(
        self, session_id: str, message_id: int, who: Audience, reaction: str, *, remove: bool
    ) -> None:
        self._session_id = session_id
        self._message_id = message_id
        self._who = who
        self._reaction = reaction
        self._remove = remove

    def apply(self, transaction: Transaction) -> None:
        """Change the reaction; nothing changes if it is so already.

        Raises:
            SessionNotFound: there is no such session.
            MessageNotFound: the session has no such message, or ``who`` may not see it.
            SessionClosed: the session is closed.
            InvalidInput: the message was deleted, or has too many reactions.
        """
        session = transaction.companion(SessionStates).of(transaction, self._session_id)
        if session is None:
            raise SessionNotFound
        message = find_message(transaction, self._session_id, self._message_id, self._who)
        if session.closed:
            raise SessionClosed
        if message.deleted:
            raise InvalidInput("The message was deleted.", "React to another one.")
        mine = (message.id, self._reaction, self._who.agent_id)
        has = transaction.read_of(self._session_id, _HAS, mine).fetchone() is not None
        if has is not self._remove:
            return
        if not has and message.reactions >= MOST_REACTIONS:
            raise InvalidInput(f"The message has {MOST_REACTIONS} reactions, the most it may have.")
        details = {"reaction": self._reaction, "removed": self._remove}
        entry = msgspec.structs.replace(
            entry_about(transaction, message, self._who, Kind.REACTION),
            details=msgspec.Raw(msgspec.json.encode(details)),
        )
        if self._remove:
            transaction.write(_REMOVE, mine)
        else:
            transaction.write(_ADD, (*mine, entry.id))
        transaction.write(_COUNT, (-1 if self._remove else 1, message.id))
        transaction.add(entry)


class Reactions(Companion):
    """Deletes reactions with their messages."""

    def erasing(self, transaction: Transaction, message: Message) -> None:
        """Delete those to a deleted message."""
        transaction.write(_ERASE, (message.id,))

    def pruning(self, transaction: Transaction, ids: str) -> None:
        """Delete those to pruned messages."""
        transaction.write(_PRUNE, {"ids": ids})


def reactions_of(connection: Connection, messages: Sequence[Message]) -> dict[int, Shown]:
    """The reactions of messages, by id; those without any are left out."""
    ids = [message.id for message in messages if message.reactions]
    if not ids:
        return {}
    shown: dict[int, Shown] = {}
    for id_, reaction, name in connection.execute(_OF, {"ids": msgspec.json.encode(ids).decode()}):
        one = shown.setdefault(id_, {}).setdefault(reaction, {"count": 0, "names": []})
        one["count"] += 1
        if len(one["names"]) < NAMES:
            one["names"].append(name)
    return shown
