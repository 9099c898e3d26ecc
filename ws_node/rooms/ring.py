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
    """The newest messages of a session, limited in number and bytes.

    It has every delivered message with an id above ``floor``. Of a deleted one it has the message
    without its texts.

    Attributes:
        floor: the position after which it is complete.
        past_read: whether the messages before it were requested from the log, to `extend` it.

    Args:
        floor: as above, when it opens.
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
        self._deleted: set[int] = set()  # ids that entries in this ring delete
        self._bytes = 0

    def __len__(self) -> int:
        """How many messages it holds."""
        return len(self._entries)

    def append(self, newest: Outgoing) -> None:
        """Add the newest message, if it is above the floor; the oldest are dropped to fit it."""
        id_ = newest.event.id
        assert id_ is not None
        if id_ <= self.floor:  # it was held while the room opened: the ring begins after it
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
        """Add older messages, the newest of them first, as far as the limits allow.

        Args:
            older: every message after its floor up to ``through``, for all audiences.
            through: nothing is added unless this reaches the floor of this ring.
        """
        if not older.floor < self.floor <= through:
            return
        met, floor = self.floor, older.floor
        for entry in reversed(older._entries):
            if entry[0] > met:
                continue
            if entry[0] in self._deleted:  # it was read before its deletion
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
        """Erase the texts of a message, here now or added later by `extend`."""
        self._deleted.add(deleted)
        for place, (id_, each) in enumerate(self._entries):
            if id_ == deleted:
                emptied = _emptied(each)
                self._bytes += len(emptied.frame) - len(each.frame)
                self._entries[place] = (id_, emptied)
                return

    def covers(self, position: int) -> bool:
        """Whether it has every delivered message after ``position``."""
        return position >= self.floor

    def shows(self, position: int, audience: Audience) -> bool:
        """Whether it has a message with that id which an audience may see."""
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
            The frames, at most ``max_bytes`` but at least one frame; and the position to continue
            from, None if there are no more. Bytes are counted before compression: compressing
            takes time in proportion to them.
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


def _emptied(message: Outgoing) -> Outgoing:
    """A message as it is after its deletion, without its texts."""
    event = msgspec.structs.replace(message.event, body=without_texts(message.event.body))
    return Outgoing(event, text_frame(event.body))
