"""A room's recent messages, framed, for viewers that join or come back."""

import itertools
from collections import deque

from proto.messages import Audience
from proto.visibility import may_see
from ws_node.framing import Framing
from ws_node.outgoing import Outgoing


class Ring:
    """The newest messages of a session, bounded in number and bytes.

    Every message with an id above ``floor`` that went by is in it.

    Attributes:
        past_read: whether somebody read, or reads, what came before it was opened, to `extend` it.

    Args:
        floor: the position from which it is complete.
        max_messages: at least 1.
        max_bytes: of the plain frames in it.
    """

    __slots__ = ("_bytes", "_entries", "_max_bytes", "_max_messages", "floor", "past_read")

    def __init__(self, floor: int, *, max_messages: int, max_bytes: int) -> None:
        self.floor = floor
        self.past_read = False
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._entries: deque[tuple[int, Outgoing]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """How many messages it holds."""
        return len(self._entries)

    def append(self, newest: Outgoing) -> None:
        """Add the newest message, if it is above the floor; the oldest make room."""
        id_ = newest.event.id
        assert id_ is not None
        if id_ <= self.floor:  # it went by while the room opened
            return
        self._entries.append((id_, newest))
        self._bytes += len(newest.frame)
        while len(self._entries) > self._max_messages or self._bytes > self._max_bytes:
            self.floor, dropped = self._entries.popleft()
            self._bytes -= len(dropped.frame)

    def extend(self, older: "Ring", through: int) -> None:
        """Add what came before, as far as there is room for it.

        Args:
            older: every message after its floor up to ``through``, whoever may see it.
            through: how far that goes; nothing is added unless it meets this ring.
        """
        if not older.floor < self.floor <= through:
            return
        met, floor = self.floor, older.floor
        for entry in reversed(older._entries):
            if entry[0] > met:
                continue
            size = self._bytes + len(entry[1].frame)
            if len(self._entries) >= self._max_messages or size > self._max_bytes:
                floor = entry[0]
                break
            self._entries.appendleft(entry)
            self._bytes = size
        self.floor = floor

    def covers(self, position: int) -> bool:
        """Whether everything after ``position`` that went by is here."""
        return position >= self.floor

    def after(
        self, position: int, audience: Audience, framing: Framing, max_bytes: int
    ) -> tuple[bytes, int | None]:
        """The frames after ``position`` that an audience may see, joined.

        Returns:
            At most ``max_bytes`` of them (but one frame at least), counted before compression,
            which takes time too; and the position they lead to if there are more, None if these
            are all.
        """
        new = itertools.takewhile(lambda entry: entry[0] > position, reversed(self._entries))
        wanted: list[bytes] = []
        size = 0
        for id_, each in reversed(list(new)):
            event = each.event
            if may_see(audience, event.visibility, event.principal, event.sender_type):
                frame = each.framed(framing)
                counted = max(len(frame), len(each.frame))
                if wanted and size + counted > max_bytes:
                    return b"".join(wanted), position
                wanted.append(frame)
                size += counted
            position = id_
        return b"".join(wanted), None
