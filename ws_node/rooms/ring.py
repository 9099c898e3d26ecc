"""A room's recent messages, framed, for viewers that join or come back."""

import itertools
from collections import deque

import msgspec

from proto.frames import deleted_by, without_texts
from proto.messages import Audience
from proto.visibility import may_see
from ws_node.rooms.framing import Framing, text_frame
from ws_node.rooms.outgoing import Outgoing


class Ring:
    """The newest messages of a session, bounded in number and bytes.

    Every message with an id above ``floor`` that went by is in it; of one that was deleted
    meanwhile, what is left of it.

    Attributes:
        past_read: whether somebody read, or reads, what came before it was opened, to `extend` it.

    Args:
        floor: the position from which it is complete.
        max_messages: at least 1.
        max_bytes: of the plain frames in it.
    """

    __slots__ = (
        "_bytes",
        "_deleted",
        "_entries",
        "_max_bytes",
        "_max_messages",
        "floor",
        "past_read",
    )

    def __init__(self, floor: int, *, max_messages: int, max_bytes: int) -> None:
        self.floor = floor
        self.past_read = False
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._entries: deque[tuple[int, Outgoing]] = deque()
        self._deleted: set[int] = set()  # by the entries that are here
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
        deleted = deleted_by(newest.event.body)
        if deleted is not None:
            self._delete(deleted)
        while len(self._entries) > self._max_messages or self._bytes > self._max_bytes:
            self.floor, dropped = self._entries.popleft()
            self._bytes -= len(dropped.frame)
            if self._deleted:
                self._deleted.discard(deleted_by(dropped.event.body) or 0)

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
            if entry[0] in self._deleted:  # it was read before it was deleted
                entry = (entry[0], _emptied(entry[1]))
            size = self._bytes + len(entry[1].frame)
            if len(self._entries) >= self._max_messages or size > self._max_bytes:
                floor = entry[0]
                break
            self._entries.appendleft(entry)
            self._bytes = size
            deleted = deleted_by(entry[1].event.body)
            if deleted is not None:
                self._deleted.add(deleted)
        self.floor = floor

    def _delete(self, deleted: int) -> None:
        """Keep of a message only what is left of it, whether it is here or comes later."""
        self._deleted.add(deleted)
        for place, (id_, each) in enumerate(self._entries):
            if id_ == deleted:
                emptied = _emptied(each)
                self._bytes += len(emptied.frame) - len(each.frame)
                self._entries[place] = (id_, emptied)
                return

    def covers(self, position: int) -> bool:
        """Whether everything after ``position`` that went by is here."""
        return position >= self.floor

    def shows(self, position: int, audience: Audience) -> bool:
        """Whether the message at a position is here and an audience may see it."""
        for id_, each in reversed(self._entries):
            if id_ <= position:
                event = each.event
                seen = may_see(audience, event.visibility, event.principal, event.sender_type)
                return id_ == position and seen
        return False

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


def _emptied(said: Outgoing) -> Outgoing:
    """A message as it is once it was deleted."""
    event = msgspec.structs.replace(said.event, body=without_texts(said.event.body))
    return Outgoing(event, text_frame(event.body))
